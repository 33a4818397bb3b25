//! Whether a policy lets everybody in.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>

use std::net::IpAddr;

use super::condition::{Condition, Test};
use super::document::{Effect, Policy, Statement};
use super::operand::Operand;

/// Keys whose fixed values keep the public out.
const FIXING_KEYS: &[&str] = &[
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];
const SOURCE_IP: &str = "aws:sourceip";
/// A network with fewer fixed bits is everybody's.
const FIXED_BITS_MIN_V4: u8 = 8;
const FIXED_BITS_MIN_V6: u8 = 32;

impl Policy {
    /// Whether it allows something to everybody.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(Statement::is_public)
    }
}

impl Statement {
    fn is_public(&self) -> bool {
        self.effect == Effect::Allow
            && self.principals.as_ref().is_some_and(|principals| principals.are_everybody())
            && !self.conditions.iter().any(keeps_public_out)
    }
}

fn keeps_public_out(condition: &Condition) -> bool {
    let Test::Like { operands, negated: false } = &condition.test else { return false };
    if !condition.needs_key() || operands.is_empty() {
        return false;
    }
    let key = condition.key.as_str();
    if key == SOURCE_IP {
        return operands.iter().all(is_small_network);
    }
    FIXING_KEYS.contains(&key) && operands.iter().all(Operand::is_fixed)
}

fn is_small_network(operand: &Operand) -> bool {
    match operand {
        Operand::Network { address: IpAddr::V4(_), prefix_bits } => {
            *prefix_bits >= FIXED_BITS_MIN_V4
        }
        Operand::Network { address: IpAddr::V6(_), prefix_bits } => {
            *prefix_bits >= FIXED_BITS_MIN_V6
        }
        Operand::Text(..)
        | Operand::Arn(_)
        | Operand::Number(..)
        | Operand::Date(..)
        | Operand::Bool(_)
        | Operand::Binary(_) => false,
    }
}
