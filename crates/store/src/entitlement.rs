//! What somebody may do by who they are: the policies that they have, and the session that they are in.
//!
//! Policies are texts here: what they say is for whoever decides.

use tidelock_meta::record::group::GroupRow;
use tidelock_meta::record::session::SessionFacts;
use tidelock_meta::record::user::UserRow;

use crate::identity::ACCOUNT_ID;
use crate::role::Role;

/// What session tags of a run are named: the repository it is of, and where it is shown.
pub const REPOSITORY_TAG: &str = "repository";
/// See [`REPOSITORY_TAG`].
pub const RUN_URL_TAG: &str = "run_url";
/// What the tag of a session is named that says whom the provider vouches for.
pub const SUBJECT_TAG: &str = "subject";

/// What ARNs of this account begin with.
const USER_ARN: &str = "arn:aws:iam::000000000000:";

/// What a principal may do beyond what is theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// Documents of the user and of their groups, or of the role.
    pub policies: Vec<String>,
    /// The session that the request is of.
    pub session: Option<SessionFacts>,
    /// The role that the session is of.
    pub role: Option<AssumedRole>,
}

/// A role, as the session of it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumedRole {
    /// `arn:aws:iam::000000000000:role/NAME`
    pub arn: String,
    /// Its id.
    pub id: String,
    /// What the session calls itself.
    pub session_name: String,
}

impl Entitlement {
    /// What a user may do: each group's documents count beside their own.
    pub(crate) fn of_user(row: UserRow, groups: Vec<GroupRow>) -> Self {
        let of_groups = groups.into_iter().flat_map(|group| group.policies);
        let policies = row.policies.into_iter().chain(of_groups);
        Self { policies: policies.map(|(_, document)| document).collect(), ..Self::default() }
    }

    pub(crate) fn of_role(role: Role, session_name: &str) -> Self {
        let session_name = session_name.to_owned();
        Self {
            policies: role.policies.into_iter().map(|(_, document)| document).collect(),
            session: None,
            role: Some(AssumedRole { arn: role.arn, id: role.id, session_name }),
        }
    }

    /// Whether policies say what they may do with what is theirs: nobody then may go on without a
    /// decision.
    pub fn is_narrowed(&self) -> bool {
        !self.policies.is_empty() || self.role.is_some() || self.narrowing().is_some()
    }

    /// The policies that the session was given; none where it was given none.
    pub fn narrowing(&self) -> Option<&[String]> {
        let policies = self.session.as_ref().map(|session| session.policies.as_slice());
        policies.filter(|policies| !policies.is_empty())
    }

    /// The tags of the session.
    pub fn tags(&self) -> &[(String, String)] {
        self.session.as_ref().map(|session| session.tags.as_slice()).unwrap_or_default()
    }

    /// The value of a tag of the session.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags().iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Who holds a lock that is taken in a role: the role, and for which run or person. It stays the same
    /// when a run renews its session, under whatever name.
    pub(crate) fn holder(&self) -> Option<String> {
        let role = self.role.as_ref()?;
        let run = [self.tag(REPOSITORY_TAG), self.tag(RUN_URL_TAG)];
        let run = run.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let session = self.session.as_ref();
        let source = session.and_then(|session| session.source_identity.as_deref());
        // Of somebody with keys of their own it is their ARN, of others their provider's URL.
        let provider = session.and_then(|session| session.provider.as_deref());
        let user = provider.and_then(|arn| arn.strip_prefix(USER_ARN));
        let names = [source, self.tag(SUBJECT_TAG), user];
        let name = names.into_iter().flatten().next().unwrap_or(&role.session_name);
        let of = if run.is_empty() { name } else { run.as_str() };
        Some(format!("{} for {of}", role.arn))
    }
}

impl AssumedRole {
    /// The session's own ARN: `arn:aws:sts::000000000000:assumed-role/NAME/SESSION`.
    pub fn session_arn(&self) -> String {
        let name = self.arn.rsplit_once('/').map_or(self.arn.as_str(), |(_, name)| name);
        format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/{}", self.session_name)
    }
}

#[cfg(test)]
mod tests {
    use tidelock_meta::record::session::SessionSubject;

    use super::*;

    /// Tags of a session, its source identity, and for whom a lock is held then.
    type HolderRow<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str);

    fn of(tags: &[(&str, &str)], source: Option<&str>) -> Entitlement {
        let arn = "arn:aws:iam::000000000000:role/ci".to_owned();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let session_name = "s".to_owned();
        let facts = SessionFacts {
            id: [0; 16],
            subject: SessionSubject::Role {
                arn: arn.clone(),
                id: String::new(),
                session_name: session_name.clone(),
            },
            issued_ms: 0,
            expires_ms: 1,
            tags: tags.collect(),
            transitive_tag_keys: Vec::new(),
            policies: Vec::new(),
            source_identity: source.map(str::to_owned),
            provider: None,
        };
        let role = Some(AssumedRole { arn, id: "AROA".to_owned(), session_name });
        Entitlement { policies: Vec::new(), session: Some(facts), role }
    }

    #[test]
    fn a_lock_taken_in_a_role_names_the_run() {
        let run = [("repository", "a/b"), ("run_url", "https://x/7"), ("ref", "main")];
        let rows: &[HolderRow<'_>] = &[
            (&run, Some("ann"), "a/b https://x/7"),
            (&run[..1], None, "a/b"),
            (&[], Some("ann"), "ann"),
            (&[], None, "s"),
        ];
        for (tags, source, expected) in rows {
            let expected = format!("arn:aws:iam::000000000000:role/ci for {expected}");
            assert_eq!(of(tags, *source).holder(), Some(expected));
        }
        assert_eq!(Entitlement::default().holder(), None);
        let role = of(&[], None).role.unwrap();
        assert_eq!(role.session_arn(), "arn:aws:sts::000000000000:assumed-role/ci/s");
    }
}
