//! Whom a statement is about.

use super::document::InvalidPolicy;

/// What the names of groups begin with in ARNs.
const GROUP: &str = "group/";

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requester<'a> {
    /// Nobody has proven anything.
    Anonymous,
    /// Somebody is known.
    Known {
        /// The account they belong to: 12 digits.
        account: &'a str,
        /// Their own ARN.
        arn: &'a str,
        /// The role they have taken on, if they have.
        role: Option<&'a str>,
        /// Their canonical user id.
        canonical_id: &'a str,
    },
    /// Somebody whom an identity provider vouches for, and who wants to assume a role.
    Federated {
        /// The provider: `arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH`.
        provider: &'a str,
    },
}

/// `Principal` or `NotPrincipal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principals {
    pub(super) negated: bool,
    pub(super) named: Vec<Named>,
}

/// One of those who are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Everyone,
    /// All of an account.
    Account(String),
    Arn(String),
    CanonicalUser(String),
    /// An identity provider: of trust policies.
    Federated(String),
    /// A service: none of ours sends requests.
    Service(String),
}

impl Named {
    /// What stands under `kind` in `Principal`.
    pub(super) fn parse(kind: &str, text: &str) -> Result<Self, InvalidPolicy> {
        if text.is_empty() {
            return Err(InvalidPolicy::Principal);
        }
        let named = match (kind, text) {
            ("AWS", "*") => Self::Everyone,
            ("AWS", text) => return Self::parse_aws(text),
            ("CanonicalUser", text) => Self::CanonicalUser(text.to_owned()),
            ("Federated", text) => Self::Federated(text.to_owned()),
            ("Service", text) => Self::Service(text.to_owned()),
            _ => return Err(InvalidPolicy::Principal),
        };
        Ok(named)
    }

    fn parse_aws(text: &str) -> Result<Self, InvalidPolicy> {
        if is_account(text) {
            return Ok(Self::Account(text.to_owned()));
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", "aws", "iam" | "sts", "", account, name] = parts[..] else {
            return Err(InvalidPolicy::Principal);
        };
        let has_wildcard = name.contains(['*', '?']);
        // Another store's accounts may have names: nobody here is one of them.
        let is_named =
            !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // A group is nobody (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_groups.html>): a statement
        // about one would be about none of its members.
        let is_group = name.starts_with(GROUP);
        if !is_named || name.is_empty() || has_wildcard || is_group {
            return Err(InvalidPolicy::Principal);
        }
        Ok(match name {
            "root" => Self::Account(account.to_owned()),
            _ => Self::Arn(text.to_owned()),
        })
    }

    fn is(&self, requester: Requester<'_>) -> bool {
        let (account, arn, role, canonical_id) = match requester {
            Requester::Known { account, arn, role, canonical_id } => {
                (account, arn, role, canonical_id)
            }
            Requester::Anonymous => return *self == Self::Everyone,
            Requester::Federated { provider } => {
                let is_named = matches!(self, Self::Federated(named) if named == provider);
                return is_named || *self == Self::Everyone;
            }
        };
        match self {
            Self::Everyone => true,
            Self::Account(named) => named == account,
            Self::Arn(named) => named == arn || Some(named.as_str()) == role,
            Self::CanonicalUser(named) => named == canonical_id,
            Self::Federated(_) | Self::Service(_) => false,
        }
    }
}

impl Principals {
    /// Whether the statement is about `requester`. Where those are named whom it is not about, an account
    /// stands for its root alone: it has to be named beside each of its users.
    pub(super) fn include(&self, requester: Requester<'_>) -> bool {
        if self.negated {
            !self.name_in_person(requester)
        } else {
            self.named.iter().any(|named| named.is(requester))
        }
    }

    /// Whether it names `requester`, and not just all of an account, whose own policies then say who of it.
    pub(super) fn name_in_person(&self, requester: Requester<'_>) -> bool {
        let is_root = |account: &str| match requester {
            Requester::Known { arn, .. } => arn == format!("arn:aws:iam::{account}:root"),
            Requester::Anonymous | Requester::Federated { .. } => false,
        };
        let is_federated = matches!(requester, Requester::Federated { .. });
        self.named.iter().filter(|named| named.is(requester)).any(|named| match named {
            Named::Account(account) => is_root(account),
            // Everybody of all providers is nobody's intent.
            Named::Everyone => !is_federated,
            Named::Arn(_) | Named::CanonicalUser(_) | Named::Federated(_) | Named::Service(_) => {
                true
            }
        })
    }

    /// Whether it names everybody.
    pub(super) fn are_everybody(&self) -> bool {
        !self.negated && self.named.contains(&Named::Everyone)
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
