//! Who there is, what policies they have, and what is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;
use tidelock_auth::sigv4::payload_hash;
use tidelock_store::{NewRole, NewSession, Principal, Role, SessionSubject};

use super::reference::{Asked, Case};
use super::wire::{Call, Operation, Tag, Wire};
use crate::fixture::{Answer, Fixture, HOST};

pub(super) const ACCOUNT: &str = "000000000000";
pub(super) const BUCKET: &str = "bucket";
pub(super) const BUCKET_ARN: &str = "arn:aws:s3:::bucket";
pub(super) const ROOT_ARN: &str = "arn:aws:iam::000000000000:root";
pub(super) const CI_ARN: &str = "arn:aws:iam::000000000000:user/ci";
/// Whose bucket it is.
pub(super) const ME_ARN: &str = "arn:aws:iam::000000000000:user/me";
pub(super) const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/runner";
/// The group of the user `ci`.
const GROUP: &str = "team";
const SESSION_ARN: &str = "arn:aws:sts::000000000000:assumed-role/runner/s";
const TERM: Duration = Duration::from_secs(3600);
const ROLE_SESSION_S: u32 = 3600;
const TRUST: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}"#;
const STORED: [&str; 5] = ["ci/a.tfstate", "ci/a.tfstate.tflock", "me/b", "c%2A/b", "x"];

/// The policies that there are.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) ci: Vec<Value>,
    pub(super) me: Vec<Value>,
    pub(super) role: Vec<Value>,
    pub(super) bucket: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhoKind {
    Anonymous,
    Root,
    Ci,
    Me,
    Role,
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) kind: WhoKind,
    /// The policies of the session; none where there is no session.
    pub(super) session: Option<Vec<Value>>,
    /// A tag of the session.
    pub(super) team: Option<String>,
}

impl WhoKind {
    pub(super) fn principal_type(self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            Self::Root => "Account",
            Self::Ci | Self::Me => "User",
            Self::Role => "AssumedRole",
        }
    }

    /// `aws:PrincipalArn`
    pub(super) fn arn(self) -> Option<&'static str> {
        match self {
            Self::Anonymous => None,
            Self::Root => Some(ROOT_ARN),
            Self::Ci => Some(CI_ARN),
            Self::Me => Some(ME_ARN),
            Self::Role => Some(ROLE_ARN),
        }
    }
}

impl Who {
    pub(super) fn is_in_role(&self) -> bool {
        self.kind == WhoKind::Role
    }

    /// As policies name them.
    pub(super) fn arn(&self) -> Option<String> {
        let arn = if self.is_in_role() { Some(SESSION_ARN) } else { self.kind.arn() };
        arn.map(str::to_owned)
    }
}

/// A question, with all policies that count for whoever asks it.
pub(super) fn case(rules: &Rules, call: &Call, asked: Asked) -> Case {
    let identity = match call.who.kind {
        WhoKind::Anonymous | WhoKind::Root => Vec::new(),
        WhoKind::Ci => rules.ci.clone(),
        WhoKind::Me => rules.me.clone(),
        WhoKind::Role => rules.role.clone(),
    };
    let mut bucket = rules.bucket.clone();
    if let (true, Some(policy)) = (call.who.is_in_role(), &bucket) {
        // Whoever names the role names each of its sessions; the other evaluator knows one name of everybody.
        bucket = Some(with_principals(policy));
    }
    let session = call.who.session.clone().filter(|policies| !policies.is_empty());
    let is_owner = matches!(call.who.kind, WhoKind::Root | WhoKind::Me);
    Case { is_owner, identity, bucket, session, asked }
}

/// The policy with the session in the place of its role, where it says whom it is about.
fn with_principals(policy: &Value) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        for name in ["Principal", "NotPrincipal"] {
            if let Some(Value::Array(arns)) =
                statement.get_mut(name).and_then(|it| it.get_mut("AWS"))
            {
                for arn in arns.iter_mut().filter(|arn| **arn == ROLE_ARN) {
                    *arn = SESSION_ARN.into();
                }
            }
        }
    }
    policy
}

/// A server with a bucket, objects in it, and the people.
pub(super) struct World {
    root: Fixture,
    ci: Fixture,
    me: Fixture,
    role: Option<Role>,
    /// Canonical ids, by name.
    ids: BTreeMap<&'static str, String>,
    tags: BTreeMap<String, Option<Tag>>,
}

impl World {
    pub(super) async fn new() -> Self {
        let root = Fixture::new();
        let actor = Principal::root();
        let (mut users, mut ids) = (Vec::new(), BTreeMap::new());
        for name in ["ci", "me"] {
            let user = root.store.create_user(&actor, name).await.unwrap();
            ids.insert(name, user.canonical_id);
            let new = root.store.create_access_key(&actor, name, None).await.unwrap();
            users.push(root.signing_as(&new.key.access_key_id, &new.secret_access_key));
        }
        root.store.create_group(&actor, GROUP, Vec::new()).await.unwrap();
        root.store.add_user_to_group(&actor, (GROUP, "ci")).await.unwrap();
        let [ci, me] = users.try_into().ok().unwrap();
        me.put("/bucket", b"").await;
        let mut tags = BTreeMap::new();
        for key in STORED {
            assert_eq!(me.put(&format!("/bucket/{key}"), b"stored").await.verdict(), "200");
            tags.insert(key.replace("%2A", "*"), None);
        }
        Self { root, ci, me, role: None, ids, tags }
    }

    /// Tags of the objects that there are.
    pub(super) fn tags(&self) -> &BTreeMap<String, Option<Tag>> {
        &self.tags
    }

    /// Puts policies in the place of those that there were.
    pub(super) async fn rule(&mut self, rules: &Rules) {
        let (store, actor) = (&self.root.store, Principal::root());
        for (user, policies) in [("ci", &rules.ci), ("me", &rules.me)] {
            for (name, _) in store.list_user_policies(&actor, user).await.unwrap() {
                store.delete_user_policy(&actor, user, &name).await.unwrap();
            }
            for (name, policy) in named(policies) {
                store.put_user_policy(&actor, user, (&name, &policy)).await.unwrap();
            }
        }
        self.share_with_group().await;
        if self.role.is_some() {
            store.delete_role(&actor, "runner").await.unwrap();
        }
        let role = NewRole {
            name: "runner".to_owned(),
            trust_policy: TRUST.to_owned(),
            policies: named(&rules.role),
            session_max_s: ROLE_SESSION_S,
        };
        self.role = Some(store.create_role(&actor, role).await.unwrap());
        let answer = match &rules.bucket {
            None => self.root.delete("/bucket?policy=").await,
            Some(policy) => self.root.put("/bucket?policy=", policy.to_string().as_bytes()).await,
        };
        assert_eq!(answer.verdict(), "204", "{rules:#?} {answer:?}");
    }

    /// Has every other policy of one user be one of their group instead: what is decided is the same.
    async fn share_with_group(&self) {
        let (store, actor) = (&self.root.store, Principal::root());
        for (name, _) in store.list_group_policies(&actor, GROUP).await.unwrap() {
            store.delete_group_policy(&actor, GROUP, &name).await.unwrap();
        }
        let policies = store.list_user_policies(&actor, "ci").await.unwrap();
        for (name, policy) in policies.into_iter().skip(1).step_by(2) {
            store.delete_user_policy(&actor, "ci", &name).await.unwrap();
            store.put_group_policy(&actor, GROUP, (&name, &policy)).await.unwrap();
        }
    }

    /// Sends a request as whoever it is of.
    pub(super) async fn send(&self, call: &Call) -> Answer {
        let Wire { method, target, headers, body } = call.wire();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = match self.signer(&call.who) {
            None => unsigned(method, &target, &headers, body.len()),
            Some(signer) => {
                let hash = payload_hash(body.as_bytes());
                signer.sign(method, &target, &headers, body.len(), &hash, "s3").0
            }
        };
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        self.root.run_from(&call.address, call.secure, request).await
    }

    /// What a request has changed.
    pub(super) fn remember(&mut self, call: &Call, answer: &Answer) {
        if !answer.status.is_success() {
            return;
        }
        match &call.operation {
            Operation::PutObject(write) => {
                self.tags.insert(call.key.clone(), write.tag.clone());
            }
            Operation::PutObjectTagging { tag, .. } => {
                self.tags.insert(call.key.clone(), tag.clone());
            }
            _ => {}
        }
    }

    fn signer(&self, who: &Who) -> Option<Fixture> {
        let own = match who.kind {
            WhoKind::Anonymous => return None,
            WhoKind::Root | WhoKind::Role => &self.root,
            WhoKind::Ci => &self.ci,
            WhoKind::Me => &self.me,
        };
        let Some(policies) = &who.session else {
            return Some(own.signing_as(&own.key, &own.secret));
        };
        let policies = policies.iter().map(Value::to_string).collect();
        let tags = who.team.iter().map(|team| ("team".to_owned(), team.clone())).collect();
        let new = NewSession { policies, tags, ..NewSession::of(self.subject(who.kind), TERM) };
        let issued = self.root.store.issue_session(new).unwrap();
        let signer = own.signing_as(&issued.access_key_id, &issued.secret_access_key);
        Some(Fixture { token: Some(issued.session_token), ..signer })
    }

    fn subject(&self, kind: WhoKind) -> SessionSubject {
        let user = |name: &str| SessionSubject::User {
            name: name.to_owned(),
            canonical_id: self.ids[name].clone(),
        };
        match kind {
            WhoKind::Anonymous | WhoKind::Root => SessionSubject::Root,
            WhoKind::Ci => user("ci"),
            WhoKind::Me => user("me"),
            WhoKind::Role => {
                let role = self.role.as_ref().unwrap();
                let session_name = "s".to_owned();
                SessionSubject::Role { arn: role.arn.clone(), id: role.id.clone(), session_name }
            }
        }
    }
}

/// Documents under names of their own.
fn named(policies: &[Value]) -> Vec<(String, String)> {
    let numbered = policies.iter().enumerate();
    numbered.map(|(number, policy)| (format!("p{number}"), policy.to_string())).collect()
}

fn unsigned(
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body_bytes: usize,
) -> http::request::Builder {
    let request = Request::builder().method(method).uri(target);
    let request = request.header("host", HOST).header("content-length", body_bytes.to_string());
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}
