//! What to paste: a Terraform backend block and the environment it needs.
//!
//! Text only. For Tidelock the block has no `skip_` flag: the endpoint answers STS and the IAM read
//! that Terraform asks for, and path style spares a wildcard host name.

use tidelock_auth::sigv4::payload_hash;

/// Key of the state in a block that nobody chose one for; what Terraform's own files are called.
pub const STATE_KEY: &str = "terraform.tfstate";
/// Longest user name.
const USER_NAME_LENGTH_MAX: usize = 64;
/// What the user of a bucket is called after its bucket.
const USER_SUFFIX: &str = "-terraform";
/// Hexadecimal digits that tell shortened names apart.
const USER_HASH_LENGTH: usize = 8;

/// Regions that Terraform takes without `skip_region_validation`: AWS's commercial ones.
const AWS_REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// What answers at an endpoint, as far as a backend block is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Answers S3, STS and IAM at one place.
    Tidelock,
    /// AWS itself: Terraform knows where everything is.
    Aws,
    /// An S3 store without STS and IAM.
    OtherS3,
}

/// A bucket to keep states in, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The bucket.
    pub bucket: String,
    /// Region of the bucket.
    pub region: String,
    /// `http://HOST:PORT` or `https://HOST:PORT`, without a path.
    pub endpoint: String,
    /// What answers there.
    pub kind: EndpointKind,
}

/// The key pair of a backend's user.
#[derive(Clone, Copy, Debug)]
pub struct BackendKey<'a> {
    /// Access key id.
    pub access_key_id: &'a str,
    /// Secret access key.
    pub secret_access_key: &'a str,
}

impl Backend {
    /// The `terraform { backend "s3" { ... } }` block of a state that nobody chose a key for.
    pub fn block(&self) -> String {
        self.block_of(STATE_KEY)
    }

    /// The same of the state at `key`.
    pub fn block_of(&self, key: &str) -> String {
        let mut settings = vec![
            ("bucket", quoted(&self.bucket)),
            ("key", quoted(key)),
            ("region", quoted(&self.region)),
            ("use_lockfile", "true".to_owned()),
            ("encrypt", "true".to_owned()),
        ];
        let switches = self.switches();
        settings.extend(switches.into_iter().map(|switch| (switch, "true".to_owned())));
        let services = self.services();
        let mut block = format!("terraform {{\n  backend \"s3\" {{\n{}", aligned(4, &settings));
        if !services.is_empty() {
            let endpoint = quoted(&self.endpoint);
            let endpoints: Vec<_> =
                services.iter().map(|service| (*service, endpoint.clone())).collect();
            block.push_str("\n    endpoints = {\n");
            block.push_str(&aligned(6, &endpoints));
            block.push_str("    }\n");
        }
        block.push_str("  }\n}\n");
        block
    }

    /// The settings of the block that are true because of what answers at the endpoint.
    pub fn switches(&self) -> Vec<&'static str> {
        let mut switches = Vec::new();
        if self.kind != EndpointKind::Aws {
            switches.push("use_path_style");
            if !AWS_REGIONS.contains(&self.region.as_str()) {
                switches.push("skip_region_validation");
            }
        }
        if self.kind == EndpointKind::OtherS3 {
            switches.extend([
                "skip_credentials_validation",
                "skip_requesting_account_id",
                "skip_metadata_api_check",
            ]);
        }
        switches
    }

    /// The services that the block names the endpoint for.
    pub fn services(&self) -> &'static [&'static str] {
        match self.kind {
            EndpointKind::Tidelock => &["s3", "sts", "iam"],
            EndpointKind::OtherS3 => &["s3"],
            EndpointKind::Aws => &[],
        }
    }

    /// Shell lines that set what the block leaves out, and what the CLI reads; without a key, the
    /// caller's own stays in place.
    pub fn environment(&self, key: Option<BackendKey<'_>>) -> String {
        let mut variables = Vec::new();
        if let Some(key) = key {
            variables.push(("AWS_ACCESS_KEY_ID", key.access_key_id));
            variables.push(("AWS_SECRET_ACCESS_KEY", key.secret_access_key));
        }
        variables.push(("AWS_REGION", &self.region));
        if self.kind != EndpointKind::Aws {
            variables.push(("AWS_ENDPOINT_URL_S3", &self.endpoint));
        }
        let line = |(name, value): &(&str, &str)| format!("export {name}='{value}'\n");
        variables.iter().map(line).collect()
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// `name = value` lines as `terraform fmt` would have them.
fn aligned(indent: usize, settings: &[(&str, String)]) -> String {
    let width = settings.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{:indent$}{name:width$} = {value}\n", "");
    settings.iter().map(line).collect()
}

/// The user that `bootstrap` makes for `bucket`: `BUCKET-terraform`, shortened where that would be
/// too long for a name.
pub fn user_name(bucket: &str) -> String {
    let name = format!("{bucket}{USER_SUFFIX}");
    if name.len() <= USER_NAME_LENGTH_MAX {
        return name;
    }
    let hash = payload_hash(bucket.as_bytes());
    let kept = USER_NAME_LENGTH_MAX - USER_SUFFIX.len() - USER_HASH_LENGTH - 1;
    let start: String = bucket.chars().take(kept).collect();
    format!("{start}-{}{USER_SUFFIX}", &hash[..USER_HASH_LENGTH])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(region: &str) -> Backend {
        Backend {
            bucket: "states".into(),
            region: region.into(),
            endpoint: "http://127.0.0.1:9000".into(),
            kind: EndpointKind::Tidelock,
        }
    }

    #[test]
    fn the_block_is_complete() {
        let expected = r#"terraform {
  backend "s3" {
    bucket         = "states"
    key            = "terraform.tfstate"
    region         = "us-east-1"
    use_lockfile   = true
    encrypt        = true
    use_path_style = true

    endpoints = {
      s3  = "http://127.0.0.1:9000"
      sts = "http://127.0.0.1:9000"
      iam = "http://127.0.0.1:9000"
    }
  }
}
"#;
        assert_eq!(backend("us-east-1").block(), expected);
        assert!(backend("home-lab").block().contains("skip_region_validation = true"));
        let other = Backend { kind: EndpointKind::OtherS3, ..backend("us-east-1") };
        assert!(other.block().contains("skip_credentials_validation = true"));
        assert!(!other.block().contains("sts"));
        let aws = Backend { kind: EndpointKind::Aws, ..backend("us-east-1") };
        assert!(!aws.block().contains("endpoint") && !aws.block().contains("path_style"));
    }

    #[test]
    fn the_environment_has_a_key_only_where_there_is_one() {
        let rows = [
            (None, "export AWS_REGION='r'\nexport AWS_ENDPOINT_URL_S3='http://127.0.0.1:9000'\n"),
            (
                Some(BackendKey { access_key_id: "A", secret_access_key: "s" }),
                "export AWS_ACCESS_KEY_ID='A'\nexport AWS_SECRET_ACCESS_KEY='s'\n\
                 export AWS_REGION='r'\nexport AWS_ENDPOINT_URL_S3='http://127.0.0.1:9000'\n",
            ),
        ];
        for (key, expected) in rows {
            assert_eq!(backend("r").environment(key), expected);
        }
    }

    #[test]
    fn user_names_fit_and_differ() {
        assert_eq!(user_name("states"), "states-terraform");
        let long = ["a".repeat(63), format!("{}b", "a".repeat(62))].map(|name| user_name(&name));
        assert!(long.iter().all(|name| name.len() == USER_NAME_LENGTH_MAX));
        assert_ne!(long[0], long[1]);
    }
}
