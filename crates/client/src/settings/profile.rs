//! The AWS profile files: sections of `key = value` lines, with one level of nesting.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".

use std::collections::BTreeMap;

use super::Credentials;

/// The settings of one profile, the credentials file winning over the config file.
#[derive(Debug, Default)]
pub(super) struct Profile {
    values: BTreeMap<String, String>,
    services: BTreeMap<String, String>,
}

impl Profile {
    /// Picks profile `name` out of the texts of both files.
    pub(super) fn parse(name: &str, credentials: &str, config: &str) -> Self {
        let section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
        let mut values = read_section(config, &section);
        // `[profile default]` is allowed too.
        if name == "default" {
            values.extend(read_section(config, "profile default"));
        }
        values.extend(read_section(credentials, name));
        let services = match values.get("services") {
            Some(services) => read_section(config, &format!("services {services}")),
            None => BTreeMap::new(),
        };
        Self { values, services }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn value(&self, key: &str) -> Option<String> {
        self.values.get(key).filter(|value| !value.is_empty()).cloned()
    }

    /// The S3 endpoint of the profile's services section, else its general one.
    pub(super) fn endpoint(&self) -> Option<String> {
        self.services.get("s3.endpoint_url").cloned().or_else(|| self.value("endpoint_url"))
    }

    pub(super) fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.value("aws_access_key_id")?,
            secret_access_key: self.value("aws_secret_access_key")?,
            session_token: self.value("aws_session_token"),
        })
    }
}

/// The lines of `[wanted]`; an indented line under `s3 =` becomes the key `s3.<its key>`.
fn read_section(text: &str, wanted: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut inside = false;
    let mut parent = String::new();
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = content.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = section.split_whitespace().eq(wanted.split_whitespace());
            continue;
        }
        let Some((key, value)) = content.split_once('=').filter(|_| inside) else { continue };
        let (key, value) = (key.trim(), value.trim());
        if line.starts_with([' ', '\t']) && !parent.is_empty() {
            values.insert(format!("{parent}.{key}"), value.to_owned());
        } else {
            parent = if value.is_empty() { key.to_owned() } else { String::new() };
            values.insert(key.to_owned(), value.to_owned());
        }
    }
    values
}
