//! A value of a state as JSON documents show it.

use serde::Serialize;
use tidelock_tfstate::Value;

/// `{"value": 1}`, `{"masked": true}` or `{"long_bytes": 70000}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// What it is.
    Value {
        /// As JSON. Numbers beyond 64 bits lose digits here, as they do in most readers of JSON.
        value: serde_json::Value,
    },
    /// Sensitive.
    Masked {
        /// Always true.
        masked: bool,
    },
    /// Too long to be shown.
    Long {
        /// Its length.
        long_bytes: usize,
    },
}

impl From<&Value> for Shown {
    fn from(value: &Value) -> Self {
        match value {
            Value::Masked => Self::Masked { masked: true },
            Value::Long { bytes } => Self::Long { long_bytes: *bytes },
            // What is nested too deep for this parser is shown as its text.
            Value::Json(text) => Self::Value {
                value: serde_json::from_str(text)
                    .unwrap_or_else(|_| serde_json::Value::String(text.clone())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        let rows = [
            (Value::Masked, r#"{"masked":true}"#.to_owned()),
            (Value::Long { bytes: 7 }, r#"{"long_bytes":7}"#.to_owned()),
            (Value::Json(r#"{"a":[1]}"#.into()), r#"{"value":{"a":[1]}}"#.to_owned()),
            (Value::Json("null".into()), r#"{"value":null}"#.to_owned()),
            (Value::Json(deep.clone()), format!(r#"{{"value":"{deep}"}}"#)),
        ];
        for (value, json) in rows {
            assert_eq!(serde_json::to_string(&Shown::from(&value)).unwrap(), json);
        }
    }
}
