//! The JSON of a policy, before anybody knows what it means: names that are known, each once.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RawPolicy {
    #[serde(default)]
    pub(super) version: Option<String>,
    /// Named by whoever wrote it; means nothing.
    #[serde(default, rename = "Id")]
    _id: Option<String>,
    pub(super) statement: OneOrMany<RawStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct RawStatement {
    #[serde(default)]
    pub(super) sid: Option<String>,
    pub(super) effect: String,
    #[serde(default)]
    pub(super) principal: Option<RawPrincipal>,
    #[serde(default)]
    pub(super) not_principal: Option<RawPrincipal>,
    #[serde(default)]
    pub(super) action: Option<OneOrMany<String>>,
    #[serde(default)]
    pub(super) not_action: Option<OneOrMany<String>>,
    #[serde(default)]
    pub(super) resource: Option<OneOrMany<String>>,
    #[serde(default)]
    pub(super) not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    pub(super) condition: Option<Entries<Entries<OneOrMany<Scalar>>>>,
}

/// `"*"`, or who by kind.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawPrincipal {
    Text(String),
    Kinds(Entries<OneOrMany<String>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// A value of a condition: AWS takes numbers and booleans as the text that they are.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
}

impl Scalar {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// An object whose names are free, each once.
pub(super) struct Entries<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(std::marker::PhantomData))
    }
}

struct EntriesVisitor<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<V> {
    type Value = Entries<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(String, V)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, V>()? {
            if entries.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            entries.push((name, value));
        }
        Ok(Entries(entries))
    }
}
