//! The configurations of a bucket.

use tidelock_store::ObjectOwnership;

use super::super::{Element, parse};
use super::tagging::tags;
use super::{boolean, once};
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::tags::Tags;

/// `CreateBucketConfiguration`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BucketConfiguration {
    pub(crate) location_constraint: Option<String>,
    pub(crate) tags: Tags,
}

impl BucketConfiguration {
    /// Reads the document; no document is the default.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        if document.is_empty() {
            return Ok(Self::default());
        }
        let root = parse(document)?;
        root.expect_root("CreateBucketConfiguration")?;
        let (mut location_constraint, mut tag_set) = (None, None);
        for child in root.children() {
            match child.name() {
                "LocationConstraint" => {
                    once(&mut location_constraint, child.trimmed().to_owned())?;
                }
                "Tags" => once(&mut tag_set, tags(child)?)?,
                // Directory buckets, which we do not have.
                "Location" | "Bucket" => {
                    return Err(S3Error::with_message(
                        ErrorCode::NotImplemented,
                        "Directory buckets are not implemented",
                    ));
                }
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        let location_constraint = location_constraint.filter(|region| !region.is_empty());
        Ok(Self { location_constraint, tags: tag_set.unwrap_or_default() })
    }
}

/// `VersioningConfiguration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersioningDocument {
    Enabled,
    Suspended,
}

impl VersioningDocument {
    /// Reads the document.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        root.expect_root("VersioningConfiguration")?;
        let mut status = None;
        for child in root.children() {
            match (child.name(), child.trimmed()) {
                ("Status", "Enabled") => once(&mut status, Self::Enabled)?,
                ("Status", "Suspended") => once(&mut status, Self::Suspended)?,
                ("MfaDelete" | "MFADelete", "Disabled") => {}
                ("MfaDelete" | "MFADelete", "Enabled") => {
                    return Err(S3Error::with_message(
                        ErrorCode::NotImplemented,
                        "MFA delete is not implemented",
                    ));
                }
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        status.ok_or(S3Error::new(ErrorCode::IllegalVersioningConfigurationException))
    }
}

/// `PublicAccessBlockConfiguration`; what is left out is off.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicAccessBlockDocument {
    pub(crate) block_public_acls: bool,
    pub(crate) ignore_public_acls: bool,
    pub(crate) block_public_policy: bool,
    pub(crate) restrict_public_buckets: bool,
}

impl PublicAccessBlockDocument {
    /// Reads the document.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        root.expect_root("PublicAccessBlockConfiguration")?;
        let mut block = Self::default();
        for child in root.children() {
            let switch = match child.name() {
                "BlockPublicAcls" => &mut block.block_public_acls,
                "IgnorePublicAcls" => &mut block.ignore_public_acls,
                "BlockPublicPolicy" => &mut block.block_public_policy,
                "RestrictPublicBuckets" => &mut block.restrict_public_buckets,
                _ => return Err(S3Error::malformed_xml()),
            };
            *switch = boolean(child)?;
        }
        Ok(block)
    }
}

/// The algorithm of a bucket's default encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Encryption {
    Aes256,
    Kms { key: Option<String> },
}

/// `ServerSideEncryptionConfiguration`: AWS takes exactly one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncryptionRule {
    pub(crate) encryption: Encryption,
    pub(crate) bucket_key: bool,
}

impl EncryptionRule {
    /// Reads the document.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        root.expect_root("ServerSideEncryptionConfiguration")?;
        match root.children() {
            [rule] if rule.name() == "Rule" => Self::of_rule(rule),
            _ => Err(S3Error::malformed_xml()),
        }
    }

    fn of_rule(rule: &Element) -> S3Result<Self> {
        let (mut encryption, mut bucket_key) = (None, None);
        for child in rule.children() {
            match child.name() {
                "ApplyServerSideEncryptionByDefault" => once(&mut encryption, by_default(child)?)?,
                "BucketKeyEnabled" => once(&mut bucket_key, boolean(child)?)?,
                "BlockedEncryptionTypes" => none_blocked(child)?,
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        let encryption = encryption.ok_or_else(S3Error::malformed_xml)?;
        Ok(Self { encryption, bucket_key: bucket_key.unwrap_or(false) })
    }
}

/// Which kinds of encryption uploads may not ask for: to block some is not built.
fn none_blocked(element: &Element) -> S3Result<()> {
    for child in element.children() {
        match (child.name(), child.trimmed()) {
            ("EncryptionType", "NONE") => {}
            ("EncryptionType", "SSE-C") => {
                let message = "Blocking SSE-C is not implemented";
                return Err(S3Error::with_message(ErrorCode::NotImplemented, message));
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    Ok(())
}

fn by_default(element: &Element) -> S3Result<Encryption> {
    let (mut algorithm, mut kms_key) = (None, None);
    for child in element.children() {
        match (child.name(), child.trimmed()) {
            ("SSEAlgorithm", "AES256") => once(&mut algorithm, Encryption::Aes256)?,
            ("SSEAlgorithm", "aws:kms") => once(&mut algorithm, Encryption::Kms { key: None })?,
            ("SSEAlgorithm", "aws:kms:dsse") => {
                let message = "Default encryption with aws:kms:dsse is not implemented";
                return Err(S3Error::with_message(ErrorCode::NotImplemented, message));
            }
            ("KMSMasterKeyID", id) => once(&mut kms_key, id.to_owned())?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    match (algorithm, kms_key) {
        (Some(Encryption::Aes256), Some(_)) => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or \
             aws:kms:dsse",
        )
        .field("ArgumentName", "ApplyServerSideEncryptionByDefault")),
        (Some(Encryption::Kms { .. }), key) => {
            Ok(Encryption::Kms { key: key.filter(|key| !key.is_empty()) })
        }
        (algorithm, _) => algorithm.ok_or_else(S3Error::malformed_xml),
    }
}

/// Reads `OwnershipControls`.
pub(crate) fn parse_ownership_controls(document: &[u8]) -> S3Result<ObjectOwnership> {
    let root = parse(document)?;
    root.expect_root("OwnershipControls")?;
    let [rule] = root.children() else { return Err(S3Error::malformed_xml()) };
    rule.expect_root("Rule")?;
    let [ownership] = rule.children() else { return Err(S3Error::malformed_xml()) };
    ownership.expect_root("ObjectOwnership")?;
    ownership_of_text(ownership.trimmed()).ok_or_else(S3Error::malformed_xml)
}

/// The setting of this name.
pub(crate) fn ownership_of_text(text: &str) -> Option<ObjectOwnership> {
    match text {
        "BucketOwnerEnforced" => Some(ObjectOwnership::BucketOwnerEnforced),
        "BucketOwnerPreferred" => Some(ObjectOwnership::BucketOwnerPreferred),
        "ObjectWriter" => Some(ObjectOwnership::ObjectWriter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: S3Result<T>) -> Result<T, &'static str> {
        result.map_err(|error| error.code().as_str())
    }

    #[test]
    fn create_bucket_configurations() {
        let check = |document: &str, expected: Result<Option<&str>, &str>| {
            let parsed = code(BucketConfiguration::parse(document.as_bytes()));
            let region = parsed.map(|configuration| configuration.location_constraint);
            assert_eq!(region, expected.map(|region| region.map(str::to_owned)), "{document}");
        };
        let wrap = |inside: &str| {
            format!("<CreateBucketConfiguration>{inside}</CreateBucketConfiguration>")
        };
        check("", Ok(None));
        check(&wrap(""), Ok(None));
        check(&wrap("<LocationConstraint/>"), Ok(None));
        check(
            &wrap("<LocationConstraint>eu-west-par</LocationConstraint>"),
            Ok(Some("eu-west-par")),
        );
        check(&wrap("<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>"), Ok(None));
        check(&wrap("<Bucket><Type>Directory</Type></Bucket>"), Err("NotImplemented"));
        check(&wrap("<Other/>"), Err("MalformedXML"));
        check("<Other/>", Err("MalformedXML"));
    }

    #[test]
    fn versioning_configurations() {
        let check = |inside: &str, expected: Result<VersioningDocument, &str>| {
            let document = format!("<VersioningConfiguration>{inside}</VersioningConfiguration>");
            assert_eq!(code(VersioningDocument::parse(document.as_bytes())), expected, "{inside}");
        };
        check("<Status>Enabled</Status>", Ok(VersioningDocument::Enabled));
        check("<Status>Suspended</Status>", Ok(VersioningDocument::Suspended));
        check("<Status>enabled</Status>", Err("MalformedXML"));
        check("<Status>Disabled</Status>", Err("MalformedXML"));
        check("", Err("IllegalVersioningConfigurationException"));
        check("<MfaDelete>Enabled</MfaDelete><Status>Enabled</Status>", Err("NotImplemented"));
    }

    #[test]
    fn encryption_configurations() {
        let check = |inside: &str, expected: Result<(Encryption, bool), &str>| {
            let document = format!(
                "<ServerSideEncryptionConfiguration>{inside}</ServerSideEncryptionConfiguration>"
            );
            let parsed = code(EncryptionRule::parse(document.as_bytes()));
            let shown = parsed.map(|rule| (rule.encryption, rule.bucket_key));
            assert_eq!(shown, expected, "{inside}");
        };
        let rule = |by_default: &str, more: &str| {
            format!(
                "<Rule><ApplyServerSideEncryptionByDefault>{by_default}\
                 </ApplyServerSideEncryptionByDefault>{more}</Rule>"
            )
        };
        let aes = "<SSEAlgorithm>AES256</SSEAlgorithm>";
        let key = "<KMSMasterKeyID>k</KMSMasterKeyID>";
        check(&rule(aes, ""), Ok((Encryption::Aes256, false)));
        check(
            &rule(aes, "<BucketKeyEnabled>true</BucketKeyEnabled>"),
            Ok((Encryption::Aes256, true)),
        );
        check(
            &rule("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>", ""),
            Ok((Encryption::Kms { key: Some("k".to_owned()) }, false)),
        );
        check(
            &rule("<SSEAlgorithm>aws:kms</SSEAlgorithm>", ""),
            Ok((Encryption::Kms { key: None }, false)),
        );
        check(&rule("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>", ""), Err("NotImplemented"));
        let blocked = |kind: &str| {
            let kind = format!("<EncryptionType>{kind}</EncryptionType>");
            rule(aes, &format!("<BlockedEncryptionTypes>{kind}</BlockedEncryptionTypes>"))
        };
        check(&blocked("NONE"), Ok((Encryption::Aes256, false)));
        check(&blocked("SSE-C"), Err("NotImplemented"));
        check(&blocked("SSE-X"), Err("MalformedXML"));
        check(&rule(&format!("{aes}{key}"), ""), Err("InvalidArgument"));
        check(&rule("<SSEAlgorithm>DES</SSEAlgorithm>", ""), Err("MalformedXML"));
        check(&rule(aes, "").repeat(2), Err("MalformedXML"));
        check("", Err("MalformedXML"));
        check("<Rule/>", Err("MalformedXML"));
    }

    #[test]
    fn other_configurations() {
        let block = PublicAccessBlockDocument::parse(
            b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
              <IgnorePublicAcls>FALSE</IgnorePublicAcls></PublicAccessBlockConfiguration>",
        );
        let block = block.unwrap();
        assert!(block.block_public_acls && !block.ignore_public_acls);
        assert!(!block.block_public_policy && !block.restrict_public_buckets);

        let ownership = |text: &str| {
            let document = format!(
                "<OwnershipControls><Rule><ObjectOwnership>{text}</ObjectOwnership></Rule>\
                 </OwnershipControls>"
            );
            parse_ownership_controls(document.as_bytes()).ok()
        };
        assert_eq!(ownership("ObjectWriter"), Some(ObjectOwnership::ObjectWriter));
        assert_eq!(ownership("Nobody"), None);
    }
}
