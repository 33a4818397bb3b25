//! What to paste: a Terraform backend block and the environment it needs.
//!
//! Text only. The block has no `skip_` flag: the endpoint answers STS and the IAM read that
//! Terraform asks for, and path style spares a wildcard host name.

use std::fmt::Write as _;

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

/// A bucket to keep states in, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The bucket.
    pub bucket: String,
    /// Region of the bucket.
    pub region: String,
    /// `http://HOST:PORT` or `https://HOST:PORT`, without a path.
    pub endpoint: String,
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
    /// The `terraform { backend "s3" { ... } }` block.
    pub fn block(&self) -> String {
        let Self { bucket, region, endpoint } = self;
        let mut block = format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket         = \"{bucket}\"\n    \
             key            = \"{STATE_KEY}\"\n    region         = \"{region}\"\n    \
             use_lockfile   = true\n    encrypt        = true\n    use_path_style = true\n"
        );
        if !AWS_REGIONS.contains(&region.as_str()) {
            block.push_str("\n    # Not a region of AWS.\n    skip_region_validation = true\n");
        }
        // Writing to a string does not fail.
        let _infallible = write!(
            block,
            "\n    endpoints = {{\n      s3  = \"{endpoint}\"\n      sts = \"{endpoint}\"\n      \
             iam = \"{endpoint}\"\n    }}\n  }}\n}}\n"
        );
        block
    }

    /// Shell lines that set what the block leaves out, and what the CLI reads.
    pub fn environment(&self, key: BackendKey<'_>) -> String {
        format!(
            "export AWS_ACCESS_KEY_ID='{}'\nexport AWS_SECRET_ACCESS_KEY='{}'\n\
             export AWS_REGION='{}'\nexport AWS_ENDPOINT_URL_S3='{}'\n",
            key.access_key_id, key.secret_access_key, self.region, self.endpoint
        )
    }
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
    }

    #[test]
    fn user_names_fit_and_differ() {
        assert_eq!(user_name("states"), "states-terraform");
        let long = ["a".repeat(63), format!("{}b", "a".repeat(62))].map(|name| user_name(&name));
        assert!(long.iter().all(|name| name.len() == USER_NAME_LENGTH_MAX));
        assert_ne!(long[0], long[1]);
    }
}
