//! What policies say, without asking anybody.

pub use tidelock_auth::policy::{
    Access, ConditionKeys, Decision, InvalidPolicy, Policies, Policy, PolicyKind, Request,
    Requester, Source, StatementRef, decide,
};
