//! What condition operators compare with.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::document::InvalidPolicy;
use super::keys::ConditionKeys;
use super::pattern::{Case, Pattern, Syntax};

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Text { wildcards: bool, case: Case },
    Arn,
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value of a condition in a policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Text(Pattern, Case),
    Arn(Vec<Pattern>),
    Number(f64, Order),
    Date(Timestamp, Order),
    Bool(bool),
    Binary(String),
    Network { address: IpAddr, prefix_bits: u8 },
}

impl Comparison {
    pub(super) fn operand(self, text: &str, has_variables: bool) -> Result<Operand, InvalidPolicy> {
        let invalid = || InvalidPolicy::ConditionValue(text.to_owned());
        Ok(match self {
            Self::Text { wildcards, case } => {
                let syntax = Syntax { wildcards, variables: has_variables };
                Operand::Text(Pattern::parse(text, syntax).ok_or_else(invalid)?, case)
            }
            Self::Arn => {
                let syntax = Syntax { wildcards: true, variables: has_variables };
                let parts = arn_parts(text).into_iter();
                let parts = parts.map(|part| Pattern::parse(part, syntax)).collect::<Option<_>>();
                Operand::Arn(parts.ok_or_else(invalid)?)
            }
            Self::Number(order) => Operand::Number(number(text).ok_or_else(invalid)?, order),
            Self::Date(order) => Operand::Date(date(text).ok_or_else(invalid)?, order),
            Self::Bool => Operand::Bool(boolean(text).ok_or_else(invalid)?),
            Self::Binary => Operand::Binary(text.to_owned()),
            Self::Network => {
                let (address, prefix_bits) = network(text).ok_or_else(invalid)?;
                Operand::Network { address, prefix_bits }
            }
        })
    }
}

impl Order {
    fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else { return false };
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Operand {
    /// Whether it is like one value only.
    pub(super) fn is_fixed(&self) -> bool {
        match self {
            Self::Text(pattern, _) => pattern.is_fixed(),
            Self::Arn(parts) => parts.iter().all(Pattern::is_fixed),
            Self::Binary(_) => true,
            Self::Number(..) | Self::Date(..) | Self::Bool(_) | Self::Network { .. } => false,
        }
    }

    /// Whether a value of the request is like it. A value that cannot be read as what is compared is not.
    pub(super) fn is_like(&self, value: &str, keys: &ConditionKeys) -> bool {
        match self {
            Self::Text(pattern, case) => pattern.matches(value, keys, *case),
            Self::Arn(parts) => {
                if let [all] = parts.as_slice()
                    && all.is_anything()
                {
                    return true;
                }
                let value = arn_parts(value);
                value.len() == parts.len()
                    && parts
                        .iter()
                        .zip(value)
                        .all(|(part, value)| part.matches(value, keys, Case::Sensitive))
            }
            Self::Number(operand, order) => {
                order.holds(number(value).and_then(|value| value.partial_cmp(operand)))
            }
            Self::Date(operand, order) => order.holds(date(value).map(|value| value.cmp(operand))),
            Self::Bool(operand) => boolean(value) == Some(*operand),
            Self::Binary(operand) => value == operand,
            Self::Network { address, prefix_bits } => {
                let value = value.parse::<IpAddr>().ok();
                value.is_some_and(|value| is_within(value, *address, *prefix_bits))
            }
        }
    }
}

/// The six parts of an ARN. Colons in a variable's name divide nothing.
fn arn_parts(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut inside) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if text[..at].ends_with('$') => inside = true,
            b'}' => inside = false,
            b':' if !inside && parts.len() < 5 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A date of ISO 8601, or seconds since 1970. Without a zone it is of UTC, without a time at midnight.
fn date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })
}

/// An address with the number of its bits that count: all, where nothing is said.
pub(super) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(bits_max), |bits| bits.parse().ok())?;
    (bits <= bits_max).then_some((address, bits))
}

/// Whether the first bits of both are the same. IPv4 addresses inside IPv6 are IPv4 addresses.
fn is_within(value: IpAddr, network: IpAddr, prefix_bits: u8) -> bool {
    let prefix_bits = u32::from(prefix_bits);
    match (value.to_canonical(), network) {
        (IpAddr::V4(value), IpAddr::V4(network)) => {
            let differing = value.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= prefix_bits
        }
        (IpAddr::V6(value), IpAddr::V6(network)) => {
            let differing = value.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= prefix_bits
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
