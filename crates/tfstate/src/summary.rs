//! What a state holds, by name: resources, outputs, checks and their counts. Holds no value.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::state::State;

/// What a state holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Serial, lineage and versions.
    #[serde(flatten)]
    pub state: State,
    /// In the order of the body.
    pub resources: Vec<Resource>,
    /// Of the root module, in the order of the body.
    pub outputs: Vec<Output>,
    /// The results of checks, conditions and validations; format 4 only.
    pub checks: Vec<Check>,
}

/// A resource block, with all its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// `module.net["eu"].module.inner`; none in the root module.
    pub module: Option<String>,
    /// Managed or read.
    pub mode: Mode,
    /// `aws_instance`
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name in the configuration.
    pub name: String,
    /// The address of its provider, `provider["registry.terraform.io/hashicorp/aws"]`.
    pub provider: String,
    /// One for each index, and one for each object that waits to be destroyed.
    pub instances: Vec<Instance>,
}

/// Whether a resource is managed or only read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `resource`
    Managed,
    /// `data`
    Data,
    /// What this version does not know.
    Other(String),
}

/// One instance of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its key under `count` or `for_each`.
    pub index: Index,
    /// The key of an object that was replaced and waits to be destroyed.
    pub deposed: Option<String>,
    /// Marked to be replaced by the next apply.
    pub tainted: bool,
    #[serde(skip)]
    pub(crate) span: Range<usize>,
    #[serde(skip)]
    pub(crate) attributes: Option<Range<usize>>,
    #[serde(skip)]
    pub(crate) sensitive_attributes: Option<Range<usize>>,
}

/// The key of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Index {
    /// The only one.
    #[default]
    None,
    /// Of `count`.
    Number(i64),
    /// Of `for_each`.
    Key(String),
}

/// An output of the root module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The name in the configuration.
    pub name: String,
    /// Declared `sensitive = true`.
    pub sensitive: bool,
    #[serde(skip)]
    pub(crate) value: Option<Range<usize>>,
}

/// The result of a check block, condition or validation, over all its objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `resource`, `output`, `check` or `var`
    pub kind: String,
    /// The address in the configuration.
    pub address: String,
    /// The worst of its objects.
    pub status: CheckStatus,
    /// The address and result of each object.
    pub objects: Vec<(String, CheckStatus)>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It held.
    Pass,
    /// It did not hold.
    Fail,
    /// It could not be evaluated.
    Error,
    /// Not run yet, or a word this version does not know.
    Unknown,
}

/// How much a state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Current instances of managed resources.
    pub managed: usize,
    /// Instances of data sources.
    pub data: usize,
    /// Objects that wait to be destroyed.
    pub deposed: usize,
    /// Instances marked to be replaced.
    pub tainted: usize,
    /// Outputs of the root module.
    pub outputs: usize,
    /// Of these, the sensitive ones.
    pub sensitive_outputs: usize,
    /// Checks that failed or could not be evaluated.
    pub failed_checks: usize,
}

impl Summary {
    /// Counts what is listed.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { outputs: self.outputs.len(), ..Counts::default() };
        for resource in &self.resources {
            for instance in &resource.instances {
                match (&instance.deposed, &resource.mode) {
                    (Some(_), _) => counts.deposed += 1,
                    (None, Mode::Data) => counts.data += 1,
                    (None, Mode::Managed | Mode::Other(_)) => counts.managed += 1,
                }
                counts.tainted += usize::from(instance.tainted);
            }
        }
        counts.sensitive_outputs = self.outputs.iter().filter(|output| output.sensitive).count();
        let failed =
            |check: &&Check| matches!(check.status, CheckStatus::Fail | CheckStatus::Error);
        counts.failed_checks = self.checks.iter().filter(failed).count();
        counts
    }
}

impl Resource {
    /// The address of the block: `module.net["eu"].data.aws_ami.ubuntu`.
    pub fn address(&self) -> String {
        resource_address(self.module.as_deref(), &self.mode, &self.type_name, &self.name)
    }

    /// The address of one of its instances: `aws_instance.web[0]`. The same for its deposed objects.
    pub fn instance_address(&self, instance: &Instance) -> String {
        format!("{}{}", self.address(), instance.index)
    }
}

/// The address of a resource block, from what it is made of.
pub fn resource_address(module: Option<&str>, mode: &Mode, type_name: &str, name: &str) -> String {
    let module = module.map(|module| format!("{module}."));
    let mode = match mode {
        Mode::Managed => String::new(),
        Mode::Data => "data.".to_owned(),
        Mode::Other(mode) => format!("{mode}."),
    };
    format!("{}{mode}{type_name}.{name}", module.unwrap_or_default())
}

impl fmt::Display for Index {
    /// `[0]`, `["key"]` with the escapes of the language, or nothing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Number(number) => write!(formatter, "[{number}]"),
            Self::Key(key) => write!(formatter, "[{}]", quoted(key)),
        }
    }
}

/// A string as it stands in an address: `"a\"b"`, and `$${` where a template would begin.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if characters.peek() == Some(&'{') => quoted.extend([character, character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
