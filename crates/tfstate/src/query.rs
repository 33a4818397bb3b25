//! Which instances somebody looks for, by name. Knows no value.

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
