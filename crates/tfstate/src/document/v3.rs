//! Formats 2 and 3, before Terraform 0.12: modules, and attributes as a flat map of strings.
//!
//! They do not say which attributes are sensitive, so a mask hides all of them.

use super::{DocumentError, MODULE_ADDRESSES_BYTES_MAX, NAME_BYTES_MAX, Parser, push};
use crate::json::{Container, Kind, Token, is_field};
use crate::summary::{Index, Instance, Mode, Output, Resource, Summary};

impl Parser<'_> {
    pub(super) fn v3(&mut self, first: Token, summary: &mut Summary) -> Result<(), DocumentError> {
        self.members(first, |parser, key, value| {
            if is_field(key, "modules") {
                parser.forget_resources(&mut summary.resources)?;
                parser.elements(value, |parser, module| parser.module(module, summary))
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

    fn module(&mut self, first: Token, summary: &mut Summary) -> Result<(), DocumentError> {
        let (mut path, mut outputs, mut resources) = (Vec::new(), Vec::new(), Vec::new());
        self.members(first, |parser, key, value| {
            if is_field(key, "path") {
                path.clear();
                parser.elements(value, |parser, step| {
                    let name = parser.name(step)?;
                    push(&mut path, name, step.start)
                })
            } else if is_field(key, "outputs") {
                parser.outputs(value, &mut outputs)
            } else if is_field(key, "resources") {
                parser.forget_resources(&mut resources)?;
                parser.members(value, |parser, key, value| {
                    let key = parser.key_name(key, value)?;
                    let resource = parser.resource_v3(&key, value)?;
                    push(&mut resources, resource, value.start)
                })
            } else {
                parser.leave(value)
            }
        })?;
        // The first step is always "root".
        let steps: Vec<_> = path.iter().skip(1).map(|step| format!("module.{step}")).collect();
        let module = (!steps.is_empty()).then(|| steps.join("."));
        self.module_addresses(module.as_deref(), resources.len(), first)?;
        for output in outputs {
            self.module_output(module.is_none(), output, summary)?;
        }
        for resource in resources {
            let resource = Resource { module: module.clone(), ..resource };
            push(&mut summary.resources, resource, first.start)?;
        }
        Ok(())
    }

    /// Refuses what a short body could ask a lot of memory for.
    fn module_addresses(
        &mut self,
        module: Option<&str>,
        resources: usize,
        first: Token,
    ) -> Result<(), DocumentError> {
        let bytes = module.map_or(0, str::len);
        if bytes > NAME_BYTES_MAX {
            return Err(DocumentError::NotAName { offset: first.start });
        }
        self.module_addresses_bytes += bytes * resources;
        if self.module_addresses_bytes > MODULE_ADDRESSES_BYTES_MAX {
            return Err(DocumentError::TooManyItems { offset: first.start });
        }
        Ok(())
    }

    /// Outputs of modules below the root are no outputs of the state.
    fn module_output(
        &mut self,
        is_root: bool,
        output: Output,
        summary: &mut Summary,
    ) -> Result<(), DocumentError> {
        match output.value {
            Some(value) if !is_root => self.hide(value),
            _ if is_root => self.output(&mut summary.outputs, output),
            _ => Ok(()),
        }
    }

    /// `aws_instance.web`, `aws_instance.web.0` or `data.aws_ami.ubuntu`.
    fn resource_v3(&mut self, key: &str, first: Token) -> Result<Resource, DocumentError> {
        let (mode, rest) = match key.strip_prefix("data.") {
            Some(rest) => (Mode::Data, rest),
            None => (Mode::Managed, key),
        };
        let (type_name, rest) = rest.split_once('.').unwrap_or((rest, ""));
        let (name, index) = match rest.rsplit_once('.') {
            Some((name, index)) => match index.parse() {
                Ok(index) => (name, Index::Number(index)),
                Err(_) => (rest, Index::None),
            },
            None => (rest, Index::None),
        };
        let mut resource = Resource {
            module: None,
            mode,
            type_name: type_name.to_owned(),
            name: name.to_owned(),
            provider: String::new(),
            instances: Vec::new(),
        };
        self.members(first, |parser, key, value| {
            if is_field(key, "provider") && value.kind == Kind::String {
                parser.name(value).map(|provider| resource.provider = provider)
            } else if is_field(key, "primary") && value.kind == Kind::Open(Container::Object) {
                let instance = Instance { index: index.clone(), ..parser.instance_v3(value)? };
                parser.instance(&mut resource.instances, instance)
            } else if is_field(key, "deposed") {
                let mut number = 0;
                parser.elements(value, |parser, object| {
                    // They have no key of their own in these formats.
                    let deposed = Some(number.to_string());
                    number += 1;
                    let object = parser.instance_v3(object)?;
                    let object = Instance { index: index.clone(), deposed, ..object };
                    parser.instance(&mut resource.instances, object)
                })
            } else if is_field(key, "type") || is_field(key, "depends_on") {
                parser.skip(value)
            } else {
                parser.leave(value)
            }
        })?;
        Ok(resource)
    }

    fn instance_v3(&mut self, first: Token) -> Result<Instance, DocumentError> {
        let mut instance = Instance::default();
        self.members(first, |parser, key, value| {
            if is_field(key, "attributes") {
                parser.span(&mut instance.attributes, value)
            } else if is_field(key, "tainted") {
                instance.tainted = value.kind == Kind::True;
                parser.skip(value)
            } else if is_field(key, "id") {
                parser.skip(value)
            } else {
                parser.leave(value)
            }
        })?;
        instance.span = first.start as usize..self.reader.position() as usize;
        Ok(instance)
    }
}
