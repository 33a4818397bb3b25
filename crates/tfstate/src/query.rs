//! Which instances somebody looks for, by name or by the value of an attribute.

use std::ops::Range;

use crate::diff::Show;
use crate::diff::leaves::leaves;
use crate::document::Document;
use crate::json::{compact, decode};
use crate::mask::Mask;
use crate::summary::{Instance, Summary};

/// What is looked for; what is none is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceQuery {
    /// `aws_instance`
    pub type_name: Option<String>,
    /// The name in the configuration.
    pub name: Option<String>,
    /// An instance, or a resource or module with all inside.
    pub address: Option<String>,
    /// The address of a provider, or the end of it: `hashicorp/aws` or `aws`.
    pub provider: Option<String>,
}

impl ResourceQuery {
    /// Whether anything of a resource block of these names may be wanted.
    pub fn wants_block(&self, type_name: &str, name: &str, provider: &str) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let provider_is = self.provider.as_ref().is_none_or(|wanted| is_provider(provider, wanted));
        is(&self.type_name, type_name) && is(&self.name, name) && provider_is
    }

    /// Whether the instance at `address` is wanted, of a block that may be. The address is made only
    /// where it is asked for.
    pub fn wants_address(&self, address: impl FnOnce() -> String) -> bool {
        self.address.as_ref().is_none_or(|wanted| is_within(&address(), wanted))
    }
}

/// An attribute that must have a value. No form of it shows a value: a search answers addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct AttributeQuery {
    /// As a diff has it: `tags.Name`, `rule[0].port`.
    pub path: String,
    /// The text of a string; of anything else its JSON without white space.
    pub value: String,
    /// Whether sensitive values are compared too.
    pub show: Show,
}

impl std::fmt::Debug for AttributeQuery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AttributeQuery").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Document<'_> {
    /// What the state holds, but only those instances that have the attribute. Where a sensitive value
    /// may not be compared, an instance that has it is not found.
    pub fn into_summary_where(self, query: &AttributeQuery) -> Summary {
        let mask = (query.show == Show::Masked).then(|| Mask::of(&self));
        let mut found = Vec::new();
        for resource in &self.summary.resources {
            let has = |instance: &Instance| self.has(instance, query, mask.as_ref());
            found.push(resource.instances.iter().map(has).collect::<Vec<_>>());
        }
        let mut summary = self.summary;
        for (resource, found) in summary.resources.iter_mut().zip(found) {
            let mut found = found.into_iter();
            resource.instances.retain(|_| found.next() == Some(true));
        }
        summary
    }

    fn has(&self, instance: &Instance, query: &AttributeQuery, mask: Option<&Mask>) -> bool {
        let Some(attributes) = &instance.attributes else { return false };
        let Ok(leaves) = leaves(self.body, attributes) else { return false };
        let is_wanted = |span: &Range<usize>| {
            !mask.is_some_and(|mask| mask.touches(span)) && is_value(self.bytes(span), &query.value)
        };
        leaves.get(&query.path).is_some_and(|spans| spans.iter().any(is_wanted))
    }
}

fn is_value(json: &[u8], wanted: &str) -> bool {
    match json.first() {
        Some(b'"') => decode(json) == wanted,
        Some(_) => compact(json) == wanted,
        None => false,
    }
}

/// Whether `address` is `wanted` or inside it, as `terraform state list ADDRESS` has it.
fn is_within(address: &str, wanted: &str) -> bool {
    let rest = address.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether `provider`, as a state names it, is the one that `wanted` ends with. What stands before
/// `provider` is the module that configures it, what follows its alias.
fn is_provider(provider: &str, wanted: &str) -> bool {
    let quoted = provider.split_once("provider[\"").and_then(|(_, rest)| rest.split_once("\"]"));
    let source = match quoted {
        Some((source, _)) => source,
        None => provider.strip_prefix("provider.").unwrap_or(provider),
    };
    let before = source.strip_suffix(wanted);
    provider == wanted || before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_takes_in_what_is_inside() {
        let rows = [
            ("a.b[0]", "a.b[0]", true),
            ("a.b[0]", "a.b", true),
            ("a.bc", "a.b", false),
            ("module.m[\"x\"].a.b", "module.m", true),
            ("module.m[\"x\"].a.b", "module.m[\"x\"]", true),
            ("module.mm.a.b", "module.m", false),
            ("a.b", "a.b[0]", false),
        ];
        for (address, wanted, expected) in rows {
            let query =
                ResourceQuery { address: Some(wanted.to_owned()), ..ResourceQuery::default() };
            assert_eq!(query.wants_address(|| address.to_owned()), expected, "{address} {wanted}");
        }
    }

    #[test]
    fn a_provider_is_named_by_its_end() {
        let aws = r#"provider["registry.terraform.io/hashicorp/aws"]"#;
        let aliased = r#"module.m.provider["registry.terraform.io/hashicorp/aws"].west"#;
        let rows = [
            (aws, "aws", true),
            (aws, "hashicorp/aws", true),
            (aws, "registry.terraform.io/hashicorp/aws", true),
            (aws, aws, true),
            (aliased, "aws", true),
            (aliased, aws, false),
            (aws, "ws", false),
            (aws, "", false),
            ("provider.aws", "aws", true),
            ("provider.aws", "azurerm", false),
            ("", "aws", false),
        ];
        for (provider, wanted, expected) in rows {
            let query =
                ResourceQuery { provider: Some(wanted.to_owned()), ..ResourceQuery::default() };
            assert_eq!(query.wants_block("t", "n", provider), expected, "{provider} {wanted}");
        }
    }

    #[test]
    fn an_attribute_is_found_by_its_value() {
        let body = br#"{"version":4,"serial":1,"lineage":"l","resources":[{"mode":"managed",
            "type":"t","name":"n","instances":[
            {"index_key":0,"attributes":{"id":"i-0","size":2,"tags":{"a b":"x"},"on":true}},
            {"index_key":1,"attributes":{"id":"i-1","size":2,"list":[{"p":null}],"password":"s3cret"},
             "sensitive_attributes":[[{"type":"get_attr","value":"id"}]]}]}]}"#;
        let rows = [
            ("id", "i-0", Show::Masked, vec![0]),
            ("id", "i-1", Show::Masked, vec![]),
            ("id", "i-1", Show::Revealed, vec![1]),
            ("password", "s3cret", Show::Masked, vec![]),
            ("password", "s3cret", Show::Revealed, vec![1]),
            ("size", "2", Show::Masked, vec![0, 1]),
            ("on", "true", Show::Masked, vec![0]),
            ("tags[\"a b\"]", "x", Show::Masked, vec![0]),
            ("list[0].p", "null", Show::Masked, vec![1]),
            ("size", "3", Show::Masked, vec![]),
            ("none", "", Show::Masked, vec![]),
        ];
        for (path, value, show, expected) in rows {
            let query = AttributeQuery { path: path.to_owned(), value: value.to_owned(), show };
            assert!(!format!("{query:?}").contains("s3cret"));
            let summary = Document::parse(body).unwrap().into_summary_where(&query);
            let found: Vec<_> =
                summary.resources[0].instances.iter().map(|it| it.index.clone()).collect();
            let expected: Vec<_> = expected.into_iter().map(crate::Index::Number).collect();
            assert_eq!(found, expected, "{path} {show:?}");
        }
    }

    #[test]
    fn all_that_is_asked_must_hold() {
        let some = |text: &str| Some(text.to_owned());
        let rows = [
            (None, None, true),
            (some("t"), None, true),
            (some("t"), some("n"), true),
            (some("u"), some("n"), false),
            (some("t"), some("m"), false),
        ];
        for (type_name, name, expected) in rows {
            let query = ResourceQuery { type_name, name, ..ResourceQuery::default() };
            assert_eq!(query.wants_block("t", "n", "p"), expected, "{query:?}");
            assert!(query.wants_address(|| panic!("nobody asks for the address")));
        }
    }
}
