//! What Terraform's AWS provider calls to make, look at and destroy the bucket of its states, in its order.
//! What nobody configured must answer with the very code that it takes for "none": any other ends the run.
//! Terragrunt's bootstrap, whose policy wants TLS, is in the lane of clients.

use serde_json::json;

use crate::harness::digest::md5_base64;
use crate::harness::xml::{elements, text};
use crate::harness::{Ask, Client, Response, Server};

/// As the provider names it: the prefix and 26 characters.
const BUCKET: &str = "tf-state-20260101000000000000000001";
const REGION: &str = "x-amz-bucket-region";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

/// A request on the bucket, the status of its answer, and what the answer says: a code or a part of its
/// document; nothing where the status says it all.
struct Call {
    ask: Ask,
    status: u16,
    says: &'static str,
}

fn call(method: &str, query: &str, status: u16, says: &'static str) -> Call {
    let ask = Ask::bucket(method, BUCKET);
    let ask = if query.is_empty() { ask } else { ask.query(query, "") };
    Call { ask, status, says }
}

impl Call {
    /// With a document, and the digest of it that SDKs send.
    fn with(mut self, document: &str) -> Self {
        let digest = md5_base64(document.as_bytes());
        self.ask = self.ask.header("content-md5", &digest).body(document);
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.ask = self.ask.header(name, value);
        self
    }
}

/// Sends all of them; the last answer.
fn replay(client: &Client, what: &str, calls: Vec<Call>) -> Response {
    let mut last = None;
    for Call { ask, status, says } in calls {
        let answer = client.send(&ask);
        let place = format!("{what}: {} ?{}", ask.method, ask.canonical_query());
        assert_eq!(answer.status, status, "{place}\n{}", answer.text());
        assert!(answer.text().contains(says), "{place}: no {says}\n{}", answer.text());
        last = Some(answer);
    }
    last.unwrap()
}

/// `aws_s3_bucket`, new: in us-east-1 it looks first whether the name is taken.
fn create() -> Vec<Call> {
    vec![
        call("HEAD", "", 404, ""),
        call("PUT", "", 200, "").header("x-amz-acl", "private"),
        call("HEAD", "", 200, ""),
        call("PUT", "tagging", 204, "").with(TAGS),
    ]
}

/// `aws_s3_bucket`, read: all of its blocks, whether the configuration has them or not. `encryption` is what
/// the bucket has of it.
fn read(encryption: (u16, &'static str), versioning: &'static str) -> Vec<Call> {
    vec![
        call("HEAD", "", 200, ""),
        call("GET", "policy", 404, "<Code>NoSuchBucketPolicy</Code>"),
        call("GET", "acl", 200, "<Permission>FULL_CONTROL</Permission>"),
        call("GET", "cors", 404, "<Code>NoSuchCORSConfiguration</Code>"),
        call("GET", "website", 404, "<Code>NoSuchWebsiteConfiguration</Code>"),
        call("GET", "versioning", 200, versioning),
        call("GET", "accelerate", 200, "<AccelerateConfiguration"),
        call("GET", "requestPayment", 200, "<Payer>BucketOwner</Payer>"),
        call("GET", "logging", 200, "<BucketLoggingStatus"),
        call("GET", "lifecycle", 404, "<Code>NoSuchLifecycleConfiguration</Code>"),
        call("GET", "replication", 404, "<Code>ReplicationConfigurationNotFoundError</Code>"),
        call("GET", "encryption", encryption.0, encryption.1),
        call("GET", "object-lock", 404, "<Code>ObjectLockConfigurationNotFoundError</Code>"),
        call("HEAD", "", 200, ""),
        call("GET", "tagging", 200, "<Key>team</Key><Value>platform</Value>"),
    ]
}

/// The resources beside the bucket: `aws_s3_bucket_versioning`, `…_server_side_encryption_configuration`,
/// `…_public_access_block`, `…_ownership_controls`. Each is written, and read until it is there.
fn configure() -> Vec<Call> {
    vec![
        call("PUT", "versioning", 200, "").with(ENABLED),
        call("GET", "versioning", 200, "<Status>Enabled</Status>"),
        call("PUT", "encryption", 200, "").with(AES256),
        call("GET", "encryption", 200, "<SSEAlgorithm>AES256</SSEAlgorithm>"),
        call("PUT", "publicAccessBlock", 200, "").with(BLOCK),
        call("GET", "publicAccessBlock", 200, "<BlockPublicPolicy>true</BlockPublicPolicy>"),
        call("PUT", "ownershipControls", 200, "").with(OWNERSHIP),
        call("GET", "ownershipControls", 200, "BucketOwnerEnforced"),
    ]
}

/// The same, destroyed: each is deleted, and read until it is gone. Versioning cannot be taken back.
fn unconfigure() -> Vec<Call> {
    vec![
        call("DELETE", "ownershipControls", 204, ""),
        call("GET", "ownershipControls", 404, "<Code>OwnershipControlsNotFoundError</Code>"),
        call("DELETE", "publicAccessBlock", 204, ""),
        call("GET", "publicAccessBlock", 404, "<Code>NoSuchPublicAccessBlockConfiguration</Code>"),
        call("DELETE", "encryption", 204, ""),
        call("PUT", "versioning", 200, "").with(SUSPENDED),
        call("GET", "versioning", 200, "<Status>Suspended</Status>"),
    ]
}

/// Destroys as with `force_destroy`: what is listed of `kind` is deleted in one request.
fn delete_all(client: &Client, kind: &str) {
    let listed = client.send(&Ask::bucket("GET", BUCKET).query("versions", "")).expect(200);
    let mut document = String::from("<Delete><Quiet>true</Quiet>");
    let entries = elements(&listed.text(), kind);
    assert!(!entries.is_empty(), "no {kind}: {}", listed.text());
    for entry in entries {
        let of = |name: &str| text(&entry, name).unwrap();
        let (key, version) = (of("Key"), of("VersionId"));
        document += &format!("<Object><Key>{key}</Key><VersionId>{version}</VersionId></Object>");
    }
    document += "</Delete>";
    replay(
        client,
        "force_destroy",
        vec![call("POST", "delete", 200, "<DeleteResult").with(&document)],
    );
}

#[test]
fn the_aws_provider() {
    let server = Server::start(&[]);
    let client = server.user("terraform");
    replay(&client, "create", create());
    let none = (404, "<Code>ServerSideEncryptionConfigurationNotFoundError</Code>");
    replay(&client, "read", read(none, "<VersioningConfiguration"));
    let region = client.send(&Ask::bucket("HEAD", BUCKET).anonymous());
    assert_eq!((region.status, region.header(REGION)), (403, Some("us-east-1")), "asked by nobody");
    replay(&client, "configure", configure());
    let sealed = (200, "<SSEAlgorithm>AES256</SSEAlgorithm>");
    replay(&client, "read again", read(sealed, "<Status>Enabled</Status>"));

    // `aws_s3_object`. A key's name in the answer would make it ask a service that is not there.
    client.send(&Ask::object("PUT", BUCKET, "app/terraform.tfstate").body("{}")).expect(200);
    let head = client.send(&Ask::object("HEAD", BUCKET, "app/terraform.tfstate")).expect(200);
    assert_eq!(head.header(KMS_KEY), None);
    assert_eq!(head.header("x-amz-server-side-encryption"), Some("AES256"));
    let tags = Ask::object("GET", BUCKET, "app/terraform.tfstate").query("tagging", "");
    assert!(client.send(&tags).expect(200).text().contains("<TagSet"));
    client.send(&Ask::object("DELETE", BUCKET, "app/terraform.tfstate")).expect(204);

    replay(&client, "destroy", unconfigure());
    replay(&client, "destroy", vec![call("DELETE", "", 409, "<Code>BucketNotEmpty</Code>")]);
    delete_all(&client, "Version");
    delete_all(&client, "DeleteMarker");
    let gone = vec![
        call("DELETE", "", 204, ""),
        call("HEAD", "", 404, ""),
        call("GET", "versioning", 404, "<Code>NoSuchBucket</Code>"),
        call("DELETE", "", 404, "<Code>NoSuchBucket</Code>"),
    ];
    replay(&client, "destroy", gone);
}

/// What else the provider's resources write on a bucket: each is absent, written, read, and deleted.
#[test]
fn other_resources_of_the_aws_provider() {
    let server = Server::start(&[]);
    let client = server.user("terraform");
    replay(&client, "create", create());
    let policy = enforced_tls().to_string();
    let rows = [
        ("policy", policy.as_str(), "NoSuchBucketPolicy", "EnforcedTLS", (204, 204)),
        ("cors", CORS, "NoSuchCORSConfiguration", "<AllowedMethod>GET", (200, 204)),
        ("lifecycle", LIFECYCLE, "NoSuchLifecycleConfiguration", "<NoncurrentDays>90", (200, 204)),
    ];
    for (query, document, none, says, (put, deleted)) in rows {
        let calls = vec![
            call("GET", query, 404, none),
            call("DELETE", query, deleted, ""),
            call("PUT", query, put, "").with(document),
            call("GET", query, 200, says),
            call("DELETE", query, deleted, ""),
            call("GET", query, 404, none),
        ];
        replay(&client, query, calls);
    }
    let acl = call("PUT", "acl", 400, "<Code>AccessControlListNotSupported</Code>")
        .header("x-amz-acl", "public-read");
    let lock = call("PUT", "object-lock", 409, "<Code>InvalidBucketState</Code>").with(LOCK);
    let tags = vec![
        acl,
        call("PUT", "acl", 200, "").header("x-amz-acl", "private"),
        lock,
        call("PUT", "versioning", 200, "").with(ENABLED),
        call("PUT", "object-lock", 200, "").with(LOCK),
        call("GET", "object-lock", 200, "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"),
        call("PUT", "versioning", 409, "An Object Lock configuration is present on this bucket")
            .with(SUSPENDED),
        call("DELETE", "tagging", 204, ""),
        call("GET", "tagging", 404, "<Code>NoSuchTagSet</Code>"),
    ];
    replay(&client, "the rest", tags);
}

/// TLS or nothing, as `aws_s3_bucket_policy` is mostly used.
fn enforced_tls() -> serde_json::Value {
    let resources = [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")];
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "EnforcedTLS", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": resources, "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    }]})
}

const TAGS: &str =
    "<Tagging><TagSet><Tag><Key>team</Key><Value>platform</Value></Tag></TagSet></Tagging>";
const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const SUSPENDED: &str =
    "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
const AES256: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
     <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
     </ServerSideEncryptionConfiguration>";
const BLOCK: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
     <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
     <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
const OWNERSHIP: &str = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced\
     </ObjectOwnership></Rule></OwnershipControls>";
const CORS: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>https://console.example.com\
     </AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status>\
     <Filter><Prefix></Prefix></Filter><NoncurrentVersionExpiration>\
     <NoncurrentDays>90</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>";
const LOCK: &str = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
     </ObjectLockConfiguration>";
