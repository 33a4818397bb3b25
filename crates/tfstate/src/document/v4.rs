//! Format 4, since Terraform 0.12: resources with instances, attributes as JSON.

use super::{DocumentError, Parser, push};
use crate::json::{Container, Kind, Token, is_field};
use crate::summary::{Check, CheckStatus, Index, Instance, Mode, Output, Resource, Summary};

/// Fields of an instance that say nothing of what the resource holds. `identity` is how a provider
/// finds the object again and may not be secret.
const INSTANCE_FIELDS_OPEN: [&str; 5] = [
    "schema_version",
    "dependencies",
    "create_before_destroy",
    "identity",
    "identity_schema_version",
];

impl Parser<'_> {
    pub(super) fn v4(&mut self, first: Token, summary: &mut Summary) -> Result<(), DocumentError> {
        self.members(first, |parser, key, value| {
            if is_field(key, "resources") {
                parser.forget_resources(&mut summary.resources)?;
                parser.elements(value, |parser, resource| {
                    let resource = parser.resource(resource)?;
                    push(&mut summary.resources, resource, value.start)
                })
            } else if is_field(key, "outputs") {
                parser.outputs(value, &mut summary.outputs)
            } else if is_field(key, "check_results") {
                summary.checks.clear();
                parser.elements(value, |parser, check| {
                    let offset = check.start;
                    let check = parser.check(check)?;
                    push(&mut summary.checks, check, offset)
                })
            } else if ["version", "terraform_version", "serial", "lineage"]
                .iter()
                .any(|name| is_field(key, name))
            {
                parser.skip(value)
            } else {
                parser.leave(value)
            }
        })
    }

    pub(super) fn outputs(
        &mut self,
        first: Token,
        outputs: &mut Vec<Output>,
    ) -> Result<(), DocumentError> {
        self.members(first, |parser, name, value| {
            let mut output = Output { name: parser.key_name(name, value)?, ..Output::default() };
            parser.members(value, |parser, key, value| {
                if is_field(key, "value") {
                    parser.span(&mut output.value, value)
                } else if is_field(key, "sensitive") {
                    // Once true stays true: a duplicate must not uncover the value.
                    output.sensitive |= !matches!(value.kind, Kind::False | Kind::Null);
                    parser.skip(value)
                } else if is_field(key, "type") {
                    parser.skip(value)
                } else {
                    parser.leave(value)
                }
            })?;
            parser.output(outputs, output)
        })
    }

    fn resource(&mut self, first: Token) -> Result<Resource, DocumentError> {
        let mut resource = Resource {
            module: None,
            mode: Mode::Managed,
            type_name: String::new(),
            name: String::new(),
            provider: String::new(),
            instances: Vec::new(),
        };
        self.members(first, |parser, key, value| {
            if is_field(key, "instances") {
                let replaced = std::mem::take(&mut resource.instances);
                parser.forget(replaced)?;
                parser.elements(value, |parser, first| {
                    let instance = parser.instance_v4(first)?;
                    parser.instance(&mut resource.instances, instance)
                })
            } else if value.kind == Kind::Null {
                Ok(())
            } else if is_field(key, "module") {
                resource.module = Some(parser.name(value)?).filter(|module| !module.is_empty());
                Ok(())
            } else if is_field(key, "mode") {
                resource.mode = match parser.name(value)?.as_str() {
                    "managed" => Mode::Managed,
                    "data" => Mode::Data,
                    other => Mode::Other(other.to_owned()),
                };
                Ok(())
            } else if is_field(key, "type") {
                parser.name(value).map(|name| resource.type_name = name)
            } else if is_field(key, "name") {
                parser.name(value).map(|name| resource.name = name)
            } else if is_field(key, "provider") {
                parser.name(value).map(|name| resource.provider = name)
            } else if is_field(key, "each") {
                parser.skip(value)
            } else {
                parser.leave(value)
            }
        })?;
        Ok(resource)
    }

    fn instance_v4(&mut self, first: Token) -> Result<Instance, DocumentError> {
        let mut instance = Instance::default();
        self.members(first, |parser, key, value| {
            if is_field(key, "attributes") {
                parser.span(&mut instance.attributes, value)
            } else if is_field(key, "sensitive_attributes") {
                parser.span(&mut instance.sensitive_attributes, value)
            } else if is_field(key, "index_key") {
                instance.index = parser.index(value)?;
                Ok(())
            } else if is_field(key, "deposed") && value.kind == Kind::String {
                instance.deposed = Some(parser.name(value)?).filter(|key| !key.is_empty());
                Ok(())
            } else if is_field(key, "status") && value.kind == Kind::String {
                instance.tainted = parser.name(value)? == "tainted";
                Ok(())
            } else if INSTANCE_FIELDS_OPEN.iter().any(|name| is_field(key, name)) {
                parser.skip(value)
            } else {
                parser.leave(value)
            }
        })?;
        // `members` has just read the closing brace.
        instance.span = first.start as usize..self.reader.position() as usize;
        Ok(instance)
    }

    /// A number is that of `count`; Terraform reads it as a float and cuts it to an integer.
    fn index(&mut self, value: Token) -> Result<Index, DocumentError> {
        match value.kind {
            Kind::Null => Ok(Index::None),
            Kind::Number => {
                let digits = String::from_utf8_lossy(self.reader.raw(value));
                let number = digits.parse::<i64>().ok();
                let float = || digits.parse::<f64>().unwrap_or_default() as i64;
                Ok(Index::Number(number.unwrap_or_else(float)))
            }
            _ => self.name(value).map(Index::Key),
        }
    }

    fn check(&mut self, first: Token) -> Result<Check, DocumentError> {
        let mut check = Check {
            kind: String::new(),
            address: String::new(),
            status: CheckStatus::Unknown,
            objects: Vec::new(),
        };
        self.members(first, |parser, key, value| {
            if is_field(key, "objects") {
                check.objects.clear();
                parser.elements(value, |parser, object| {
                    let offset = object.start;
                    let object = parser.check_object(object)?;
                    push(&mut check.objects, object, offset)
                })
            } else if is_field(key, "object_kind") {
                parser.name(value).map(|kind| check.kind = kind)
            } else if is_field(key, "config_addr") {
                parser.name(value).map(|address| check.address = address)
            } else if is_field(key, "status") {
                parser.check_status(value).map(|status| check.status = status)
            } else {
                parser.leave(value)
            }
        })?;
        Ok(check)
    }

    fn check_object(&mut self, first: Token) -> Result<(String, CheckStatus), DocumentError> {
        let mut object = (String::new(), CheckStatus::Unknown);
        self.members(first, |parser, key, value| {
            if is_field(key, "object_addr") {
                parser.name(value).map(|address| object.0 = address)
            } else if is_field(key, "status") {
                parser.check_status(value).map(|status| object.1 = status)
            } else if is_field(key, "failure_messages") {
                // Terraform itself keeps sensitive values out of these.
                parser.skip(value)
            } else {
                parser.leave(value)
            }
        })?;
        Ok(object)
    }

    fn check_status(&mut self, value: Token) -> Result<CheckStatus, DocumentError> {
        if let Kind::Open(Container::Object | Container::Array) = value.kind {
            self.leave(value)?;
            return Ok(CheckStatus::Unknown);
        }
        Ok(match self.reader.raw(value) {
            b"\"pass\"" => CheckStatus::Pass,
            b"\"fail\"" => CheckStatus::Fail,
            b"\"error\"" => CheckStatus::Error,
            _ => CheckStatus::Unknown,
        })
    }
}
