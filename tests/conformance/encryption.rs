//! SSE-C, SSE-KMS and default encryption: who reads what, and what a wrong request gets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::script::{
    Lane, Row, Step, bucket, check, complete, copy, create_upload, get, head, object, put, row,
    upload_part,
};
use crate::harness::digest::{etag, md5_base64};
use crate::harness::{Ask, Server};

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const OBJECT: &str = "x-amz-server-side-encryption-customer-";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer-";
/// Of the keyring that the tests start with: its second key.
const NAMED: &str = "arn:aws:kms:us-east-1:000000000000:key/named";
const OWN: &str = "arn:aws:kms:us-east-1:000000000000:key/own";

const MISSING: &str = "The object was stored using a form of Server Side Encryption. The correct parameters \
                       must be provided to retrieve the object.";
const OTHERS: &str = "The provided encryption parameters did not match the ones used originally.";
const NOT_APPLICABLE: &str = "The encryption parameters are not applicable to this object.";
const OF_UPLOAD: &str = "The multipart upload initiate requested encryption. Subsequent part requests must \
                         include the appropriate encryption parameters.";

fn key_of(byte: u8) -> [u8; 32] {
    [byte; 32]
}

/// The three headers of a key.
fn with_key(step: Step, prefix: &str, byte: u8) -> Step {
    step.header(&format!("{prefix}algorithm"), "AES256")
        .header(&format!("{prefix}key"), &STANDARD.encode(key_of(byte)))
        .header(&format!("{prefix}key-md5"), &md5_base64(&key_of(byte)))
}

fn sealed(step: Step, byte: u8) -> Step {
    with_key(step, OBJECT, byte)
}

/// The answer says that it is encrypted with that key.
fn shown(step: Step, byte: u8) -> Step {
    step.shows(&format!("{OBJECT}algorithm"), "AES256")
        .shows(&format!("{OBJECT}key-md5"), &md5_base64(&key_of(byte)))
        .hides(&format!("{OBJECT}key"))
        .hides(ENCRYPTION)
}

fn kms(step: Step) -> Step {
    step.header(ENCRYPTION, "aws:kms")
}

fn rows() -> Vec<Row> {
    [customer_rows(), upload_rows(), malformed_rows(), kms_rows(), default_rows()].concat()
}

fn customer_rows() -> Vec<Row> {
    let attributes =
        || get("k").query("attributes", "").header("x-amz-object-attributes", "ObjectSize");
    vec![
        row(
            "a customer's object opens with its key, and with no other",
            [
                shown(sealed(put("k", "secret"), 1), 1).save_header("e", "etag"),
                shown(sealed(get("k"), 1), 1).reads("secret").shows("etag", "{e}"),
                shown(sealed(head("k"), 1), 1).shows("etag", "{e}"),
                sealed(attributes(), 1).has("ObjectSize", "6"),
                get("k").fails(400, "InvalidRequest").has("Message", MISSING),
                head("k").gives(400),
                attributes().fails(400, "InvalidRequest"),
                sealed(get("k"), 2).fails(400, "InvalidRequest").has("Message", OTHERS),
                sealed(head("k"), 2).gives(400),
                sealed(get("k").header("Range", "bytes=1-2"), 1).gives(206).reads("ec"),
                sealed(get("k").header("x-amz-checksum-mode", "ENABLED"), 1)
                    .shows("x-amz-checksum-type", "FULL_OBJECT"),
                get("k").header("If-None-Match", "{e}").gives(400),
            ],
        ),
        row(
            "a key for an object that has none",
            [
                put("k", "open").shows(ENCRYPTION, "AES256").hides(&format!("{OBJECT}algorithm")),
                sealed(get("k"), 1).fails(400, "InvalidRequest").has("Message", NOT_APPLICABLE),
                sealed(head("k"), 1).gives(400),
            ],
        ),
        row(
            "copies open the source with one key and seal with another",
            [
                sealed(put("k", "secret"), 1),
                sealed(copy("k", "to"), 2).fails(400, "InvalidRequest").has("Message", MISSING),
                with_key(sealed(copy("k", "to"), 2), SOURCE, 2)
                    .fails(400, "InvalidRequest")
                    .has("Message", OTHERS),
                shown(with_key(sealed(copy("k", "to"), 2), SOURCE, 1), 2),
                sealed(get("to"), 2).reads("secret"),
                with_key(copy("k", "plain"), SOURCE, 1).shows(ENCRYPTION, "AES256"),
                get("plain").reads("secret").shows("etag", &etag(b"secret")),
                shown(with_key(sealed(copy("k", "k"), 3), SOURCE, 1), 3),
                sealed(get("k"), 3).reads("secret"),
            ],
        ),
    ]
}

fn upload_rows() -> Vec<Row> {
    let part_copy = || {
        object("PUT", "k")
            .header("x-amz-copy-source", "/{bucket}/from")
            .query("partNumber", "1")
            .query("uploadId", "{u}")
            .save_element("part", "ETag")
    };
    vec![
        row(
            "every request of an upload repeats its key",
            [
                shown(sealed(create_upload("k", "u"), 1), 1),
                object("PUT", "k")
                    .body("parted")
                    .query("partNumber", "1")
                    .query("uploadId", "{u}")
                    .fails(400, "InvalidRequest")
                    .has("Message", OF_UPLOAD),
                sealed(put("k", "parted").query("partNumber", "1").query("uploadId", "{u}"), 2)
                    .fails(400, "InvalidRequest")
                    .has("Message", OTHERS),
                shown(sealed(upload_part("k", "u", "parted"), 1), 1),
                complete("k", "u").fails(400, "InvalidRequest").has("Message", OF_UPLOAD),
                sealed(complete("k", "u"), 2).fails(400, "InvalidRequest"),
                shown(sealed(complete("k", "u"), 1), 1),
                sealed(get("k"), 1).reads("parted"),
                get("k").fails(400, "InvalidRequest"),
            ],
        ),
        row(
            "a part that is copied",
            [
                sealed(put("from", "secret"), 2),
                sealed(create_upload("k", "u"), 1),
                shown(with_key(sealed(part_copy(), 1), SOURCE, 2), 1),
                sealed(complete("k", "u"), 1),
                sealed(get("k"), 1).reads("secret"),
            ],
        ),
        row(
            "a key for an upload that has none",
            [
                create_upload("k", "u"),
                sealed(put("k", "parted").query("partNumber", "1").query("uploadId", "{u}"), 2)
                    .fails(400, "InvalidRequest"),
            ],
        ),
    ]
}

fn malformed_rows() -> Vec<Row> {
    let argument = |step: Step, name: &str| {
        step.fails(400, "InvalidArgument").has("ArgumentName", &format!("{OBJECT}{name}"))
    };
    let some = |algorithm: &str, key: Option<&str>, md5: Option<&str>| {
        let mut step = put("k", "x").header(&format!("{OBJECT}algorithm"), algorithm);
        for (name, value) in [("key", key), ("key-md5", md5)] {
            if let Some(value) = value {
                step = step.header(&format!("{OBJECT}{name}"), value);
            }
        }
        step
    };
    let (key, md5) = (STANDARD.encode(key_of(1)), md5_base64(&key_of(1)));
    let other = md5_base64(&key_of(2));
    let short = STANDARD.encode([1; 16]);
    vec![row(
        "keys that are none; nothing is stored",
        [
            argument(some("AES128", Some(&key), Some(&md5)), "algorithm"),
            argument(some("AES256", None, Some(&md5)), "key"),
            argument(some("AES256", Some(&short), Some(&md5_base64(&[1; 16]))), "key"),
            argument(some("AES256", Some(&key), None), "key-md5"),
            argument(some("AES256", Some(&key), Some(&other)), "key-md5"),
            sealed(put("k", "x"), 1).header(ENCRYPTION, "AES256").fails(400, "InvalidArgument"),
            kms(sealed(put("k", "x"), 1)).fails(400, "InvalidArgument"),
            get("k").gives(404),
        ],
    )]
}

fn kms_rows() -> Vec<Row> {
    vec![
        row(
            "the keyring's own key",
            [
                kms(put("k", "x")).shows(ENCRYPTION, "aws:kms").shows(KMS_KEY, OWN),
                get("k").reads("x").shows(ENCRYPTION, "aws:kms").shows(KMS_KEY, OWN),
                kms(put("k", "x")).header(KMS_KEY, "alias/aws/s3").shows(KMS_KEY, OWN),
                put("k", "x").shows(ENCRYPTION, "AES256").hides(KMS_KEY),
                get("k").hides(KMS_KEY).shows("etag", &etag(b"x")),
            ],
        ),
        row(
            "a key by name and by ARN",
            [
                kms(put("k", "x")).header(KMS_KEY, "named").shows(KMS_KEY, NAMED),
                kms(put("k", "y"))
                    .header(KMS_KEY, NAMED)
                    .header(CONTEXT, "eyJhIjoiYiJ9")
                    .header(BUCKET_KEY, "true")
                    .shows(KMS_KEY, NAMED)
                    .shows(BUCKET_KEY, "true"),
                get("k").reads("y").shows(KMS_KEY, NAMED),
                copy("k", "to").shows(ENCRYPTION, "AES256").hides(KMS_KEY),
                kms(create_upload("k", "u")).header(KMS_KEY, NAMED).shows(KMS_KEY, NAMED),
                upload_part("k", "u", "parted").shows(KMS_KEY, NAMED),
                complete("k", "u").shows(KMS_KEY, NAMED),
                get("k").reads("parted").shows(KMS_KEY, NAMED),
            ],
        ),
        row(
            "keys that are none; nothing is stored",
            [
                kms(put("k", "x")).header(KMS_KEY, "other").fails(400, "KMS.NotFoundException"),
                kms(object("POST", "k").query("uploads", ""))
                    .header(KMS_KEY, "other")
                    .fails(400, "KMS.NotFoundException"),
                put("k", "x").header(KMS_KEY, NAMED).fails(400, "InvalidArgument"),
                put("k", "x").header(ENCRYPTION, "aws:kms:dsse").not_implemented(ENCRYPTION),
                kms(get("k")).fails(400, "InvalidArgument"),
                get("k").gives(404),
            ],
        ),
    ]
}

fn default_rows() -> Vec<Row> {
    let rule = |inside: &str| {
        format!(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>{inside}\
             </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>\
             </ServerSideEncryptionConfiguration>"
        )
    };
    let set = |inside: &str| bucket("PUT").query("encryption", "").body(&rule(inside));
    let named = "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>named</KMSMasterKeyID>";
    vec![row(
        "a bucket's default is for what asks for nothing",
        [
            set(named),
            bucket("GET")
                .query("encryption", "")
                .has("SSEAlgorithm", "aws:kms")
                .has("KMSMasterKeyID", "named")
                .has("BucketKeyEnabled", "true"),
            put("k", "x").shows(KMS_KEY, NAMED).shows(BUCKET_KEY, "true"),
            get("k").reads("x").shows(ENCRYPTION, "aws:kms").shows(KMS_KEY, NAMED),
            copy("k", "to").shows(KMS_KEY, NAMED),
            create_upload("k", "u").shows(KMS_KEY, NAMED),
            put("k", "x").header(ENCRYPTION, "AES256").shows(ENCRYPTION, "AES256").hides(KMS_KEY),
            shown(sealed(put("k", "x"), 1), 1),
            set("<SSEAlgorithm>aws:kms</SSEAlgorithm>"),
            bucket("GET").query("encryption", "").lacks("KMSMasterKeyID"),
            put("k", "x").shows(KMS_KEY, OWN),
            set("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>other</KMSMasterKeyID>")
                .fails(400, "KMS.NotFoundException"),
            bucket("DELETE").query("encryption", "").gives(204),
            put("k", "x").shows(ENCRYPTION, "AES256").hides(KMS_KEY),
        ],
    )]
}

/// A server whose keyring has the keys `own` and `named`.
fn server(data: &TempDir) -> Server {
    use std::os::unix::fs::PermissionsExt as _;

    let path = data.path().join("two-keys");
    let text = format!("own:{}\nnamed:{}\n", STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Server::start_on(&data.path().join("data"), &["--keyring", path.to_str().unwrap()])
}

#[test]
fn keys_of_customers_and_of_the_keyring() {
    let data = TempDir::new().unwrap();
    check(&server(&data).root(), Lane::Default, &rows());
}

/// Neither answers nor the server's log repeat a customer's key.
#[test]
fn a_customers_key_is_never_repeated() {
    let server = Server::start(&["--log-level", "trace"]);
    server.make_bucket("quiet", "");
    let text = STANDARD.encode(key_of(0xC7));
    let mut stranger = server.root();
    stranger.keys.secret = "not-the-secret".to_owned();
    for client in [server.root(), stranger] {
        for algorithm in ["AES256", "AES128"] {
            let ask = Ask::object("PUT", "quiet", "k")
                .body("x")
                .header(&format!("{OBJECT}algorithm"), algorithm)
                .header(&format!("{OBJECT}key"), &text)
                .header(&format!("{OBJECT}key-md5"), &md5_base64(&key_of(0xC7)));
            let answer = client.send(&ask);
            assert!(!answer.text().contains(&text), "{}", answer.text());
        }
    }
    let log = server.log();
    assert!(!log.contains(&text), "the log shows a customer's key");
}
