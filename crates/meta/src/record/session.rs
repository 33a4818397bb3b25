//! What a session token holds besides its secret. It is no row: the client keeps it, sealed, so that any
//! server can verify it without a look into the store.
//!
//! ```text
//! value  01 | id:16 | subject | issued_ms:i64 | expires_ms:i64 | tags: list of (text, text)
//!        | transitive tag keys: list of text | policies: list of text
//!        | source identity: option of text | provider: option of text
//! subject  00 for root | 01 user:text, canonical id:text | 02 role ARN:text, role id:text, session name:text
//! ```

use bytes::Bytes;

use super::DecodeError;
use super::codec::{Reader, Writer};

const RECORD: &str = "session";
const LAYOUT: u8 = 1;

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionSubject {
    /// Root's own.
    Root,
    /// A user's own.
    User {
        /// The name.
        name: String,
        /// The canonical id: somebody made anew under the name is somebody else.
        canonical_id: String,
    },
    /// Of somebody who has assumed a role.
    Role {
        /// The role's ARN.
        arn: String,
        /// Its id: one made anew under the name is another.
        id: String,
        /// What they call themselves in it.
        session_name: String,
    },
}

/// The facts of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Names the session.
    pub id: [u8; 16],
    /// Whose it is.
    pub subject: SessionSubject,
    /// When it began, in milliseconds since 1970.
    pub issued_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// Its tags: `aws:PrincipalTag`.
    pub tags: Vec<(String, String)>,
    /// Keys of the tags that follow into a session made from this one.
    pub transitive_tag_keys: Vec<String>,
    /// Policies that narrow it, as they were given: texts or ARNs.
    pub policies: Vec<String>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<String>,
    /// Who vouched for the person: a provider's URL (`aws:FederatedProvider`), or their own ARN where they
    /// had keys of their own.
    pub provider: Option<String>,
}

impl SessionFacts {
    /// The facts as they are sealed.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.raw(&self.id);
        match &self.subject {
            SessionSubject::Root => writer.u8(0),
            SessionSubject::User { name, canonical_id } => {
                writer.u8(1);
                writer.text(name);
                writer.text(canonical_id);
            }
            SessionSubject::Role { arn, id, session_name } => {
                writer.u8(2);
                writer.text(arn);
                writer.text(id);
                writer.text(session_name);
            }
        }
        writer.i64(self.issued_ms);
        writer.i64(self.expires_ms);
        writer.pairs(&self.tags);
        writer.list(&self.transitive_tag_keys, |writer, key| writer.text(key));
        writer.list(&self.policies, |writer, policy| writer.text(policy));
        for text in [&self.source_identity, &self.provider] {
            writer.option(text.as_ref(), |writer, text| writer.text(text));
        }
        writer.finish()
    }

    /// The facts, from the opened bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let facts = Self {
            id: reader.array()?,
            subject: subject(&mut reader)?,
            issued_ms: reader.i64()?,
            expires_ms: reader.i64()?,
            tags: reader.pairs()?,
            transitive_tag_keys: reader.list(Reader::text)?,
            policies: reader.list(Reader::text)?,
            source_identity: reader.option(Reader::text)?,
            provider: reader.option(Reader::text)?,
        };
        reader.end()?;
        Ok(facts)
    }
}

fn subject(reader: &mut Reader<'_>) -> Result<SessionSubject, DecodeError> {
    Ok(match reader.u8()? {
        0 => SessionSubject::Root,
        1 => SessionSubject::User { name: reader.text()?, canonical_id: reader.text()? },
        2 => SessionSubject::Role {
            arn: reader.text()?,
            id: reader.text()?,
            session_name: reader.text()?,
        },
        _ => return Err(reader.error("unknown subject")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn facts_come_back(
            id: [u8; 16], kind in 0..3_u8, names: (String, String, String), times: (i64, i64),
            tags: Vec<(String, String)>, lists: (Vec<String>, Vec<String>),
            options: (Option<String>, Option<String>),
        ) {
            let (first, second, session_name) = names;
            let facts = SessionFacts {
                id,
                subject: match kind {
                    0 => SessionSubject::Root,
                    1 => SessionSubject::User { name: first, canonical_id: second },
                    _ => SessionSubject::Role { arn: first, id: second, session_name },
                },
                issued_ms: times.0,
                expires_ms: times.1,
                tags,
                transitive_tag_keys: lists.0,
                policies: lists.1,
                source_identity: options.0,
                provider: options.1,
            };
            prop_assert_eq!(SessionFacts::decode(&facts.encode()).unwrap(), facts);
        }

        #[test]
        fn nonsense_is_refused_and_never_panics(bytes: Vec<u8>) {
            let _ = SessionFacts::decode(&bytes);
        }
    }
}
