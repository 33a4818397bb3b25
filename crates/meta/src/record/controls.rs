//! What only some objects have: an encryption that was asked for, locks, an access control list.
//!
//! ```text
//! controls    encryption | retention:option | legal_hold:option flag | acl:option
//! encryption  0 | (SSE-S3)      1 | key:text | context:option text | bucket_key:flag (SSE-KMS)
//!             2 | key md5:16 (SSE-C)
//! retention   mode:u8 | until_ms:i64
//! acl         owner:text | list of (grantee | permission:u8)
//! grantee     0 | canonical id:text      1 | (all users)      2 | (authenticated users)      3 | (log delivery)
//! ```

use super::DecodeError;
use super::codec::{Reader, Writer};

/// How an object is encrypted, as its writer asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerSideEncryption {
    /// SSE-S3, asked for or not.
    #[default]
    S3,
    /// SSE-KMS, under a named key of the keyring.
    Kms {
        /// The key, as it is shown.
        key: String,
        /// The encryption context that was sent, base64 of JSON.
        context: Option<String>,
        /// Whether a bucket key was asked for.
        bucket_key: bool,
    },
    /// SSE-C, under a key that only the client has.
    Customer {
        /// MD5 of the key.
        key_md5: [u8; 16],
    },
}

/// Who may shorten a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionMode {
    /// Whoever may bypass it.
    Governance,
    /// Nobody.
    Compliance,
}

/// How long a version is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Who may shorten it.
    pub mode: RetentionMode,
    /// Until when, in milliseconds since 1970.
    pub until_ms: i64,
}

/// Whom a grant is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// A user, by canonical id.
    User(String),
    /// Everybody.
    AllUsers,
    /// Everybody who has an access key.
    AuthenticatedUsers,
    /// AWS's log delivery: nobody here.
    LogDelivery,
}

/// What a grant lets do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// All of the others.
    FullControl,
    /// List a bucket; read an object.
    Read,
    /// Write objects of a bucket.
    Write,
    /// Read the list.
    ReadAcp,
    /// Change the list.
    WriteAcp,
}

/// A line of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whom it is for.
    pub grantee: Grantee,
    /// What it lets do.
    pub permission: Permission,
}

/// An access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Canonical id of whoever owns the bucket or object.
    pub owner: String,
    /// Its lines.
    pub grants: Vec<Grant>,
}

/// What only some objects have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// How it is encrypted.
    pub encryption: ServerSideEncryption,
    /// How long it is kept.
    pub retention: Option<Retention>,
    /// Whether it is held, if that was ever said.
    pub legal_hold: Option<bool>,
    /// Who owns it and who may use it, where that is not just the owner of the bucket.
    pub acl: Option<Acl>,
}

impl Controls {
    pub(crate) fn write(&self, writer: &mut Writer) {
        self.encryption.write(writer);
        writer.option(self.retention.as_ref(), |writer, retention| {
            retention.mode.write(writer);
            writer.i64(retention.until_ms);
        });
        writer.option(self.legal_hold.as_ref(), |writer, held| writer.flag(*held));
        writer.option(self.acl.as_ref(), |writer, acl| acl.write(writer));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            encryption: ServerSideEncryption::read(reader)?,
            retention: reader.option(|reader| {
                Ok(Retention { mode: RetentionMode::read(reader)?, until_ms: reader.i64()? })
            })?,
            legal_hold: reader.option(Reader::flag)?,
            acl: reader.option(Acl::read)?,
        })
    }
}

impl ServerSideEncryption {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::S3 => writer.u8(0),
            Self::Kms { key, context, bucket_key } => {
                writer.u8(1);
                writer.text(key);
                writer.option(context.as_ref(), |writer, context| writer.text(context));
                writer.flag(*bucket_key);
            }
            Self::Customer { key_md5 } => {
                writer.u8(2);
                writer.raw(key_md5);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::S3,
            1 => Self::Kms {
                key: reader.text()?,
                context: reader.option(Reader::text)?,
                bucket_key: reader.flag()?,
            },
            2 => Self::Customer { key_md5: reader.array()? },
            _ => return Err(reader.error("unknown encryption")),
        })
    }
}

impl RetentionMode {
    pub(crate) fn write(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Governance => 0,
            Self::Compliance => 1,
        });
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Governance,
            1 => Self::Compliance,
            _ => return Err(reader.error("unknown retention mode")),
        })
    }
}

impl Acl {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.text(&self.owner);
        writer.list(&self.grants, |writer, grant| {
            grant.grantee.write(writer);
            grant.permission.write(writer);
        });
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let owner = reader.text()?;
        let grants = reader.list(|reader| {
            Ok(Grant { grantee: Grantee::read(reader)?, permission: Permission::read(reader)? })
        })?;
        Ok(Self { owner, grants })
    }
}

impl Grantee {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::User(canonical_id) => {
                writer.u8(0);
                writer.text(canonical_id);
            }
            Self::AllUsers => writer.u8(1),
            Self::AuthenticatedUsers => writer.u8(2),
            Self::LogDelivery => writer.u8(3),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::User(reader.text()?),
            1 => Self::AllUsers,
            2 => Self::AuthenticatedUsers,
            3 => Self::LogDelivery,
            _ => return Err(reader.error("unknown grantee")),
        })
    }
}

impl Permission {
    fn write(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::FullControl => 0,
            Self::Read => 1,
            Self::Write => 2,
            Self::ReadAcp => 3,
            Self::WriteAcp => 4,
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::FullControl,
            1 => Self::Read,
            2 => Self::Write,
            3 => Self::ReadAcp,
            4 => Self::WriteAcp,
            _ => return Err(reader.error("unknown permission")),
        })
    }
}

/// Arbitrary controls, for the round-trip properties of the records that hold some.
#[cfg(test)]
pub(crate) mod arbitrary {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn acl() -> impl Strategy<Value = Acl> {
        let grantee = prop_oneof![
            any::<String>().prop_map(Grantee::User),
            Just(Grantee::AllUsers),
            Just(Grantee::AuthenticatedUsers),
            Just(Grantee::LogDelivery),
        ];
        let permission = prop_oneof![
            Just(Permission::FullControl),
            Just(Permission::Read),
            Just(Permission::Write),
            Just(Permission::ReadAcp),
            Just(Permission::WriteAcp),
        ];
        let grant =
            (grantee, permission).prop_map(|(grantee, permission)| Grant { grantee, permission });
        (any::<String>(), proptest::collection::vec(grant, 0..4))
            .prop_map(|(owner, grants)| Acl { owner, grants })
    }

    pub(crate) fn mode() -> impl Strategy<Value = RetentionMode> {
        prop_oneof![Just(RetentionMode::Governance), Just(RetentionMode::Compliance)]
    }

    pub(crate) fn controls() -> impl Strategy<Value = Controls> {
        let encryption = prop_oneof![
            Just(ServerSideEncryption::S3),
            any::<(String, Option<String>, bool)>().prop_map(|(key, context, bucket_key)| {
                ServerSideEncryption::Kms { key, context, bucket_key }
            }),
            any::<[u8; 16]>().prop_map(|key_md5| ServerSideEncryption::Customer { key_md5 }),
        ];
        let retention =
            (mode(), any::<i64>()).prop_map(|(mode, until_ms)| Retention { mode, until_ms });
        let retention = proptest::option::of(retention);
        let acl = proptest::option::of(acl());
        (encryption, retention, any::<Option<bool>>(), acl).prop_map(
            |(encryption, retention, legal_hold, acl)| Controls {
                encryption,
                retention,
                legal_hold,
                acl,
            },
        )
    }
}
