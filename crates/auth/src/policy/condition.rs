//! One key of one operator in a `Condition`.

use super::document::InvalidPolicy;
use super::keys::{ConditionKeys, folded};
use super::operand::{Comparison, Operand, Order};
use super::pattern::Case;

/// A condition on one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) key: String,
    quantifier: Option<Quantifier>,
    /// It holds for requests without the key.
    if_exists: bool,
    pub(super) test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// The request does not have the key, or has it.
    Missing(bool),
    /// A value is like one of these, or like none.
    Like { operands: Vec<Operand>, negated: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    ForAnyValue,
    ForAllValues,
}

impl Condition {
    /// A key under an operator such as `ForAnyValue:StringNotLikeIfExists`.
    pub(super) fn parse(
        operator: &str,
        key: &str,
        values: &[String],
        has_variables: bool,
    ) -> Result<Self, InvalidPolicy> {
        let invalid = || InvalidPolicy::ConditionOperator(operator.to_owned());
        let (quantifier, name) = match operator.split_once(':') {
            None => (None, operator),
            Some(("ForAnyValue", name)) => (Some(Quantifier::ForAnyValue), name),
            Some(("ForAllValues", name)) => (Some(Quantifier::ForAllValues), name),
            Some(_) => return Err(invalid()),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let test = if name == "Null" {
            let [value] = values else { return Err(InvalidPolicy::ConditionValue(key.to_owned())) };
            let expected = Comparison::Bool.operand(value, false)?;
            if if_exists || quantifier.is_some() {
                return Err(invalid());
            }
            Test::Missing(expected == Operand::Bool(true))
        } else {
            let (comparison, negated) = comparison_of(name).ok_or_else(invalid)?;
            let operands = values.iter().map(|value| comparison.operand(value, has_variables));
            Test::Like { operands: operands.collect::<Result<_, _>>()?, negated }
        };
        Ok(Self { key: folded(key), quantifier, if_exists, test })
    }

    /// Whether it never holds for a request without its key.
    pub(super) fn needs_key(&self) -> bool {
        !self.holds(&ConditionKeys::new())
    }

    /// Whether it holds for a request with these keys. Of a key with several values, one has to be
    /// like a value of the policy; where none may be, none of them may.
    pub(super) fn holds(&self, keys: &ConditionKeys) -> bool {
        let values = keys.values(&self.key);
        let (operands, negated) = match &self.test {
            Test::Missing(expected) => return values.is_empty() == *expected,
            Test::Like { operands, negated } => (operands, *negated),
        };
        if values.is_empty() {
            let without = match self.quantifier {
                Some(Quantifier::ForAllValues) => true,
                Some(Quantifier::ForAnyValue) => false,
                None => negated,
            };
            return without || self.if_exists;
        }
        let fits =
            |value: &String| operands.iter().any(|operand| operand.is_like(value, keys)) != negated;
        match (self.quantifier, negated) {
            (Some(Quantifier::ForAllValues), _) | (None, true) => values.iter().all(fits),
            (Some(Quantifier::ForAnyValue), _) | (None, false) => values.iter().any(fits),
        }
    }
}

/// How an operator compares, and whether it wants the opposite.
fn comparison_of(name: &str) -> Option<(Comparison, bool)> {
    let text = |wildcards, case| Comparison::Text { wildcards, case };
    Some(match name {
        "StringEquals" => (text(false, Case::Sensitive), false),
        "StringNotEquals" => (text(false, Case::Sensitive), true),
        "StringEqualsIgnoreCase" => (text(false, Case::Insensitive), false),
        "StringNotEqualsIgnoreCase" => (text(false, Case::Insensitive), true),
        "StringLike" => (text(true, Case::Sensitive), false),
        "StringNotLike" => (text(true, Case::Sensitive), true),
        "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
        "NumericEquals" => (Comparison::Number(Order::Equal), false),
        "NumericNotEquals" => (Comparison::Number(Order::Equal), true),
        "NumericLessThan" => (Comparison::Number(Order::Less), false),
        "NumericLessThanEquals" => (Comparison::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Comparison::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Comparison::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Comparison::Date(Order::Equal), false),
        "DateNotEquals" => (Comparison::Date(Order::Equal), true),
        "DateLessThan" => (Comparison::Date(Order::Less), false),
        "DateLessThanEquals" => (Comparison::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Comparison::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Comparison::Date(Order::GreaterOrEqual), false),
        "Bool" => (Comparison::Bool, false),
        "BinaryEquals" => (Comparison::Binary, false),
        "IpAddress" => (Comparison::Network, false),
        "NotIpAddress" => (Comparison::Network, true),
        _ => return None,
    })
}
