//! AWS's policy language: what a policy says, and what follows from all that apply to a request.
//!
//! The grammar is <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>, the
//! order of evaluation
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.
//! It does not know where policies are kept, nor which keys a request has: both are arguments.

mod action;
mod condition;
mod document;
mod evaluate;
mod keys;
mod operand;
mod pattern;
mod principal;
mod public;
mod raw;

pub use document::{
    Effect, InvalidPolicy, POLICY_BYTES_MAX, Policy, PolicyKind, Statement, VALUES_MAX,
};
pub use evaluate::{
    Access, Decision, Policies, Request, Source, StatementRef, decide, decide_trust,
};
pub use keys::{ConditionKeys, folded};
pub use principal::Requester;
