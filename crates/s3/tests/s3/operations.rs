//! Operations end to end: what they store, list and answer.

use std::time::Duration;

use crate::fixture::{Answer, Fixture};
use http::Method;
use tidelock_s3::S3Config;
use tidelock_store::{AuditQuery, BucketChange, GuardConfig, Principal};

const ENABLED: &[u8] =
    b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const SUSPENDED: &[u8] =
    b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";

async fn with_bucket() -> Fixture {
    let fixture = Fixture::new();
    fixture.put("/bucket", b"").await;
    fixture
}

/// The texts of all elements of this name, in order.
fn all<'a>(answer: &'a Answer, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let rest = answer.body.split(open.as_str()).skip(1);
    rest.map(|rest| rest.split(close.as_str()).next().unwrap()).collect()
}

#[tokio::test]
async fn listings() {
    let fixture = with_bucket().await;
    for key in ["a", "b/1", "b/2", "c d", "e"] {
        fixture.put(&format!("/bucket/{}", key.replace(' ', "%20")), b"x").await;
    }
    let rows: &[(&str, &[&str], &[&str], &str)] = &[
        ("list-type=2", &["a", "b/1", "b/2", "c d", "e"], &[], "false"),
        ("list-type=2&delimiter=%2F", &["a", "c d", "e"], &["<Prefix>b/</Prefix>"], "false"),
        ("list-type=2&prefix=b%2F", &["b/1", "b/2"], &[], "false"),
        ("list-type=2&start-after=b%2F1", &["b/2", "c d", "e"], &[], "false"),
        ("list-type=2&max-keys=2", &["a", "b/1"], &[], "true"),
        ("list-type=2&max-keys=0", &[], &[], "false"),
        ("list-type=2&encoding-type=url&prefix=c", &["c%20d"], &[], "false"),
        ("marker=c%20d", &["e"], &[], "false"),
        ("marker=a&delimiter=%2F&max-keys=1", &[], &["<Prefix>b/</Prefix>"], "true"),
        ("", &["a", "b/1", "b/2", "c d", "e"], &[], "false"),
    ];
    for (query, keys, prefixes, truncated) in rows {
        let page = fixture.get(&format!("/bucket?{query}")).await;
        assert_eq!(all(&page, "Key"), *keys, "{query}");
        assert_eq!(all(&page, "CommonPrefixes"), *prefixes, "{query}");
        assert_eq!(page.text("IsTruncated"), *truncated, "{query}");
    }
}

#[tokio::test]
async fn names_of_other_kinds_of_buckets_are_not_given() {
    let fixture = Fixture::new();
    for name in ["abc--x-s3", "abc--table-s3", "abc.mrap", "amzn-s3-demo-b"] {
        let answer = fixture.put(&format!("/{name}"), b"").await;
        assert_eq!(answer.verdict(), "400 InvalidBucketName", "{name}");
    }
    for name in ["x-s3", "mrap", "b-amzn-s3-demo"] {
        assert_eq!(fixture.put(&format!("/{name}"), b"").await.verdict(), "200", "{name}");
    }
}

/// The AWS provider asks S3 Control for the tags of a bucket.
#[tokio::test]
async fn tags_of_a_bucket_over_s3_control() {
    const TAGS: &str = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Abucket";
    let fixture = with_bucket().await;
    let account = [("x-amz-account-id", "000000000000"), ("host", "000000000000.localhost:9000")];
    let tag = |tags: &[(&str, &str)]| {
        let tags: String = tags
            .iter()
            .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
            .collect();
        format!(
            "<TagResourceRequest xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\">\
             <Tags>{tags}</Tags></TagResourceRequest>"
        )
    };
    let many: Vec<_> = (0..50).map(|number| (format!("k{number}"), "v")).collect();
    let many: Vec<_> = many.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let other = TAGS.replace("bucket", "other");
    let rows = [
        (Method::GET, TAGS, String::new(), "200", &[][..]),
        (Method::POST, TAGS, tag(&[("a", "1"), ("b", "2")]), "204", &[("a", "1"), ("b", "2")]),
        (
            Method::POST,
            TAGS,
            tag(&[("b", "3"), ("c", "4")]),
            "204",
            &[("a", "1"), ("b", "3"), ("c", "4")],
        ),
        (Method::POST, TAGS, tag(&many), "400 InvalidTag", &[("a", "1"), ("b", "3"), ("c", "4")]),
        (
            Method::POST,
            TAGS,
            tag(&[("aws:x", "1")]),
            "400 InvalidTag",
            &[("a", "1"), ("b", "3"), ("c", "4")],
        ),
        (
            Method::POST,
            TAGS,
            "<Tagging/>".to_owned(),
            "400 MalformedXML",
            &[("a", "1"), ("b", "3"), ("c", "4")],
        ),
        (
            Method::DELETE,
            &format!("{TAGS}?tagKeys=a&tagKeys=c&tagKeys=x"),
            String::new(),
            "204",
            &[("b", "3")],
        ),
        (Method::PUT, TAGS, String::new(), "405 MethodNotAllowed", &[("b", "3")]),
        (Method::GET, &other, String::new(), "404 NoSuchBucket", &[("b", "3")]),
        (Method::DELETE, &format!("{TAGS}?tagKeys=b"), String::new(), "204", &[]),
    ];
    for (method, target, body, verdict, tags) in rows {
        let answer = fixture.send(method.clone(), target, &account, body.as_bytes()).await;
        assert_eq!(answer.verdict(), verdict, "{method} {target} {body}");
        let is_wrapped = answer.body.contains("<ErrorResponse xmlns=");
        assert_eq!(is_wrapped, answer.status.as_u16() >= 400, "{}", answer.body);
        let listed = fixture.send(Method::GET, TAGS, &account, b"").await;
        let listed: Vec<_> = all(&listed, "Key").into_iter().zip(all(&listed, "Value")).collect();
        assert_eq!(listed, tags, "{method} {target} {body}");
        let plain = fixture.get("/bucket?tagging").await;
        assert_eq!(all(&plain, "Key").len(), tags.len());
    }
    let foreign = [("x-amz-account-id", "123456789012")];
    let answer = fixture.send(Method::GET, TAGS, &foreign, b"").await;
    assert_eq!(answer.verdict(), "403 AccessDenied");
    // Without an account it is the key of an object.
    assert_eq!(fixture.get(TAGS).await.verdict(), "404 NoSuchBucket");
}

/// The URL under which the object is, as it was sent: over HTTP/2 there is no `Host`, and keys are encoded.
#[tokio::test]
async fn an_upload_says_where_its_object_is() {
    let fixture =
        Fixture::with(S3Config { domains: vec!["localhost".into()], ..S3Config::default() });
    fixture.put("/bucket", b"").await;
    let key = "env%3A/a%20b%2B%C3%BC.tfstate";
    for (host, path) in
        [("localhost:9000", format!("/bucket/{key}")), ("bucket.localhost:9000", format!("/{key}"))]
    {
        let (id, list) = fixture.upload(&format!("/bucket/{key}"), &[b"part"]).await;
        let target = format!("{path}?uploadId={id}");
        let answer = fixture.send(Method::POST, &target, &[("host", host)], list.as_bytes()).await;
        assert_eq!(answer.text("Location"), format!("http://{host}{path}"));
    }
}

/// What the guard refuses is told in its own commit, once; what else is refused, by the request.
#[tokio::test]
async fn each_refused_delete_is_audited_once() {
    let (fixture, root) = (Fixture::new(), Principal::root());
    fixture.store.create_user(&root, "ann").await.unwrap();
    let made = fixture.store.create_access_key(&root, "ann", None).await.unwrap();
    let ann = fixture.signing_as(&made.key.access_key_id, &made.secret_access_key);
    ann.put("/bucket", b"").await;
    let guard = BucketChange::Guard(Some(GuardConfig::enforced()));
    fixture.store.change_bucket(&root, &"bucket".parse().unwrap(), &guard).await.unwrap();
    let lock = br#"{"ID":"one","Operation":"OperationTypeApply","Who":"a@b","Version":"1.11.4"}"#;
    let once = [("if-none-match", "*")];
    let locked = ann.send(Method::PUT, "/bucket/k.tflock", &once, lock).await;
    assert_eq!(locked.verdict(), "200");
    let state = br#"{"version":4,"serial":1,"lineage":"l"}"#;
    assert_eq!(ann.put("/bucket/k", state).await.verdict(), "200");
    let long = "k".repeat(1025);
    let entries = ["k", &long].map(|key| format!("<Object><Key>{key}</Key></Object>"));
    let body = format!("<Delete>{}</Delete>", entries.concat());
    let headers = [("x-amz-sdk-checksum-algorithm", "SHA256")];
    let answer = fixture.send(Method::POST, "/bucket?delete=", &headers, body.as_bytes()).await;
    assert_eq!(all(&answer, "Code"), ["StateLocked", "KeyTooLongError"], "{}", answer.body);
    let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
    let page = fixture.store.query_audit(&root, &query).await.unwrap();
    let told = page.records.iter().map(|it| (it.entry.action.as_str(), it.entry.code.as_str()));
    let refused: Vec<_> = told.filter(|(_, code)| *code != "OK").collect();
    assert_eq!(refused, [("StateRefused", "StateLocked"), ("DeleteObject", "KeyTooLongError")]);
}

#[tokio::test]
async fn pages_join_without_a_gap() {
    let fixture = with_bucket().await;
    for number in 0..7 {
        fixture.put(&format!("/bucket/k{number}"), b"x").await;
    }
    let mut keys = Vec::new();
    let mut query = "list-type=2&max-keys=3".to_owned();
    loop {
        let page = fixture.get(&format!("/bucket?{query}")).await;
        keys.extend(all(&page, "Key").into_iter().map(str::to_owned));
        let token = page.text("NextContinuationToken");
        if token.is_empty() {
            break;
        }
        query = format!("continuation-token={token}&list-type=2&max-keys=3");
    }
    assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4", "k5", "k6"]);
    let wrong = fixture.get("/bucket?continuation-token=%21&list-type=2").await;
    assert_eq!(wrong.verdict(), "400 InvalidArgument");
}

#[tokio::test]
async fn versions() {
    let fixture = with_bucket().await;
    fixture.put("/bucket/key", b"null").await;
    assert_eq!(fixture.get("/bucket?versioning").await.text("Status"), "");
    fixture.put("/bucket?versioning", ENABLED).await;
    let first = fixture.put("/bucket/key", b"first").await;
    let second = fixture.put("/bucket/key", b"second").await;
    let (first, second) = (first.header("x-amz-version-id"), second.header("x-amz-version-id"));
    for (version, body) in [(first, "first"), (second, "second"), ("null", "null")] {
        let got = fixture.get(&format!("/bucket/key?versionId={version}")).await;
        assert_eq!((got.body.as_str(), got.header("x-amz-version-id")), (body, version));
    }
    let deleted = fixture.delete("/bucket/key").await;
    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
    let marker = deleted.header("x-amz-version-id");
    let gone = fixture.get("/bucket/key").await;
    assert_eq!(gone.verdict(), "404 NoSuchKey");
    assert_eq!(gone.header("x-amz-delete-marker"), "true");
    let of_marker = fixture.get(&format!("/bucket/key?versionId={marker}")).await;
    assert_eq!(of_marker.verdict(), "405 MethodNotAllowed");
    assert_eq!(of_marker.text("ResourceType"), "DeleteMarker");

    let list = fixture.get("/bucket?versions").await;
    assert_eq!(all(&list, "VersionId"), [marker, second, first, "null"]);
    assert_eq!(all(&list, "IsLatest"), ["true", "false", "false", "false"]);
    let page = fixture.get("/bucket?max-keys=2&versions").await;
    let next = (page.text("NextKeyMarker"), page.text("NextVersionIdMarker"));
    assert_eq!(next, ("key", second));
    let rest =
        fixture.get(&format!("/bucket?key-marker=key&version-id-marker={second}&versions")).await;
    assert_eq!(all(&rest, "VersionId"), [first, "null"]);

    fixture.delete(&format!("/bucket/key?versionId={marker}")).await;
    assert_eq!(fixture.get("/bucket/key").await.body, "second");
    fixture.put("/bucket?versioning", SUSPENDED).await;
    let put = fixture.put("/bucket/key", b"suspended").await;
    assert_eq!(put.header("x-amz-version-id"), "");
    let got = fixture.get("/bucket/key").await;
    assert_eq!(got.header("x-amz-version-id"), "null");
    assert_eq!(fixture.delete("/bucket").await.verdict(), "409 BucketNotEmpty");
}

#[tokio::test]
async fn copies() {
    let fixture = with_bucket().await;
    let headers = [("x-amz-meta-a", "1"), ("content-type", "a/b"), ("x-amz-tagging", "t=1")];
    fixture.send(Method::PUT, "/bucket/source", &headers, b"body").await;
    let source = ("x-amz-copy-source", "/bucket/source");
    let copy = fixture.send(Method::PUT, "/bucket/copy", &[source], b"").await;
    assert_eq!(copy.text("ETag"), "&quot;841a2d689ad86bd1611447453c22c6fc&quot;");
    let got = fixture.get("/bucket/copy").await;
    let shown = (got.body.as_str(), got.header("x-amz-meta-a"), got.header("x-amz-tagging-count"));
    assert_eq!(shown, ("body", "1", "1"));
    let replacing = [source, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
    fixture.send(Method::PUT, "/bucket/source", &replacing, b"").await;
    let got = fixture.get("/bucket/source").await;
    assert_eq!((got.header("x-amz-meta-a"), got.header("x-amz-meta-b")), ("", "2"));
    for (headers, expected, inside) in [
        (vec![source], "400 InvalidRequest", "itself"),
        (vec![("x-amz-copy-source", "bucket/none")], "404 NoSuchKey", "<Key>none</Key>"),
        (vec![("x-amz-copy-source", "none/key")], "404 NoSuchBucket", "<BucketName>none<"),
        (vec![("x-amz-copy-source", "none")], "400 InvalidArgument", "x-amz-copy-source"),
        (vec![source, ("x-amz-metadata-directive", "X")], "400 InvalidArgument", "directive"),
        (
            vec![source, ("x-amz-copy-source-if-match", "x"), ("x-amz-storage-class", "STANDARD")],
            "412 PreconditionFailed",
            "<Condition>x-amz-copy-source-If-Match</Condition>",
        ),
    ] {
        let answer = fixture.send(Method::PUT, "/bucket/source", &headers, b"").await;
        assert_eq!(answer.verdict(), expected, "{headers:?}");
        assert!(answer.body.contains(inside), "{headers:?}: {}", answer.body);
    }
}

/// What is missing is told to whoever may list the bucket that it would be in.
#[tokio::test]
async fn a_missing_source_is_told_to_who_may_list_its_bucket() {
    let (fixture, root) = (Fixture::new(), Principal::root());
    for bucket in ["/source", "/target"] {
        fixture.put(bucket, b"").await;
    }
    fixture.put("/source/there", b"x").await;
    fixture.store.create_user(&root, "ann").await.unwrap();
    let made = fixture.store.create_access_key(&root, "ann", None).await.unwrap();
    let ann = fixture.signing_as(&made.key.access_key_id, &made.secret_access_key);
    let begun = fixture.send(Method::POST, "/target/parts?uploads=", &[], b"").await;
    let part = format!("/target/parts?partNumber=1&uploadId={}", begun.text("UploadId"));
    let none = [("x-amz-copy-source", "source/none")];
    let there = [("x-amz-copy-source", "source/there"), ("if-match", "\"0\"")];
    let rows = [
        ("target", "/target/copy", &none[..], "403 AccessDenied"),
        ("source", "/target/copy", &none[..], "404 NoSuchKey"),
        ("target", part.as_str(), &none[..], "403 AccessDenied"),
        ("source", part.as_str(), &none[..], "404 NoSuchKey"),
        ("target", "/target/copy", &there[..], "404 NoSuchKey"),
        ("source", "/target/copy", &there[..], "403 AccessDenied"),
    ];
    for (listed, path, headers, expected) in rows {
        let policy = format!(
            r#"{{"Statement":[
                {{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::*/*"}},
                {{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::target/*"}},
                {{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::{listed}"}}]}}"#
        );
        fixture.store.put_user_policy(&root, "ann", ("copies", &policy)).await.unwrap();
        let answer = ann.send(Method::PUT, path, headers, b"").await;
        assert_eq!(answer.verdict(), expected, "{listed} {path} {headers:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn multipart_uploads() {
    let fixture = with_bucket().await;
    let (id, list) = fixture.upload("/bucket/key", &[b"first", b"second"]).await;
    let parts = fixture.get(&format!("/bucket/key?uploadId={id}")).await;
    assert_eq!(all(&parts, "PartNumber"), ["1", "2"]);
    assert_eq!(all(&parts, "Size"), ["5", "6"]);
    let uploads = fixture.get("/bucket?uploads").await;
    assert_eq!((uploads.text("Key"), uploads.text("UploadId")), ("key", id.as_str()));
    let complete = |list: String| {
        let target = format!("/bucket/key?uploadId={id}");
        let fixture = &fixture;
        async move { fixture.send(Method::POST, &target, &[], list.as_bytes()).await }
    };
    for (list, expected) in [
        (String::new(), "400 MalformedXML"),
        ("<CompleteMultipartUpload/>".to_owned(), "400 MalformedXML"),
        (list.replace("<PartNumber>2", "<PartNumber>3"), "400 InvalidPart"),
        (list.replace("<PartNumber>2", "<PartNumber>0"), "400 InvalidPartOrder"),
        (list.clone(), "200"),
        (list.clone(), "200"),
    ] {
        let answer = complete(list).await;
        assert_eq!(answer.verdict(), expected, "{}", answer.body);
    }
    let target = "/bucket/key?attributes";
    let asked = [("x-amz-object-attributes", "ETag,ObjectParts,ObjectSize,StorageClass")];
    let attributes = fixture.send(Method::GET, target, &asked, b"").await;
    let shown = (attributes.text("PartsCount"), attributes.text("ObjectSize"));
    assert_eq!(shown, ("2", "11"), "{}", attributes.body);

    let (id, _) = fixture.upload("/bucket/other", &[b"part"]).await;
    let copied = format!("/bucket/other?partNumber=2&uploadId={id}");
    let source = ("x-amz-copy-source", "bucket/key");
    for (range, expected) in [
        ("bytes=0-3", "200"),
        ("bytes=0-99", "400 InvalidArgument"),
        ("bytes=99-100", "400 InvalidRequest"),
        ("0-3", "400 InvalidArgument"),
    ] {
        let headers = [source, ("x-amz-copy-source-range", range)];
        let answer = fixture.send(Method::PUT, &copied, &headers, b"").await;
        assert_eq!(answer.verdict(), expected, "{range}: {}", answer.body);
    }
    assert_eq!(fixture.delete(&format!("/bucket/other?uploadId={id}")).await.verdict(), "204");
    let again = fixture.delete(&format!("/bucket/other?uploadId={id}")).await;
    assert_eq!(again.verdict(), "404 NoSuchUpload");
}

#[tokio::test]
async fn configurations_come_back() {
    let fixture = with_bucket().await;
    fixture.put("/bucket/key", b"x").await;
    let tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    let encryption = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                      <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
                      </Rule></ServerSideEncryptionConfiguration>";
    let block = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
                 </PublicAccessBlockConfiguration>";
    let rows = [
        ("/bucket?tagging", tagging, "<Key>a</Key><Value>1</Value>", "404 NoSuchTagSet"),
        ("/bucket/key?tagging", tagging, "<Key>a</Key><Value>1</Value>", "200"),
        (
            "/bucket?encryption",
            encryption,
            "<SSEAlgorithm>AES256</SSEAlgorithm>",
            "404 ServerSideEncryptionConfigurationNotFoundError",
        ),
        (
            "/bucket?publicAccessBlock",
            block,
            "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls>",
            "404 NoSuchPublicAccessBlockConfiguration",
        ),
    ];
    for (target, document, inside, after_delete) in rows {
        assert_eq!(
            fixture.put(target, b"<Other/>").await.verdict(),
            "400 MalformedXML",
            "{target}"
        );
        let put = fixture.put(target, document.as_bytes()).await;
        assert!(put.status.is_success(), "{target}: {}", put.body);
        let got = fixture.get(target).await;
        assert!(got.body.contains(inside), "{target}: {}", got.body);
        assert_eq!(fixture.delete(target).await.verdict(), "204", "{target}");
        assert_eq!(fixture.get(target).await.verdict(), after_delete, "{target}");
    }
    for (target, inside) in [
        ("/bucket?acl", "<Permission>FULL_CONTROL</Permission>"),
        ("/bucket/key?acl", "<Permission>FULL_CONTROL</Permission>"),
        ("/bucket?ownershipControls", "BucketOwnerEnforced"),
        ("/bucket?requestPayment", "<Payer>BucketOwner</Payer>"),
        ("/bucket?location", "<LocationConstraint xmlns"),
        ("/bucket?accelerate", "<AccelerateConfiguration xmlns"),
        ("/bucket?logging", "<BucketLoggingStatus xmlns"),
    ] {
        let got = fixture.get(target).await;
        assert!(got.status.is_success() && got.body.contains(inside), "{target}: {}", got.body);
    }
}

#[tokio::test]
async fn buckets() {
    let fixture = Fixture::new();
    let located =
        b"<CreateBucketConfiguration><LocationConstraint>eu-west-par</LocationConstraint>\
                    </CreateBucketConfiguration>";
    let made = fixture.put("/first", located).await;
    assert_eq!((made.verdict().as_str(), made.header("location")), ("200", "/first"));
    assert_eq!(fixture.put("/first", located).await.verdict(), "409 BucketAlreadyOwnedByYou");
    fixture.put("/second", b"").await;
    assert_eq!(fixture.put("/second", b"").await.verdict(), "200", "as in AWS's first region");
    let head = fixture.send(Method::HEAD, "/first", &[], b"").await;
    assert_eq!(head.header("x-amz-bucket-region"), "eu-west-par");
    assert!(fixture.get("/first?location").await.body.contains(">eu-west-par<"));
    fixture.clock.advance(Duration::from_secs(1));
    let list = fixture.get("/").await;
    assert_eq!(all(&list, "Name"), ["first", "second"]);
    let page = fixture.get("/?max-buckets=1").await;
    let token = page.text("ContinuationToken");
    let rest = fixture.get(&format!("/?continuation-token={token}&max-buckets=1")).await;
    assert_eq!((all(&page, "Name"), all(&rest, "Name")), (vec!["first"], vec!["second"]));
    assert_eq!(rest.text("ContinuationToken"), "");
    let locked = [("x-amz-bucket-object-lock-enabled", "true")];
    let locked = fixture.send(Method::PUT, "/third", &locked, b"").await;
    assert_eq!(locked.verdict(), "200");
    assert!(fixture.get("/third?versioning").await.body.contains(">Enabled<"));
    assert_eq!(fixture.delete("/first").await.verdict(), "204");
    assert_eq!(fixture.delete("/first").await.verdict(), "404 NoSuchBucket");
}

#[tokio::test]
async fn checksums_are_shown_when_asked_for() {
    let fixture = with_bucket().await;
    let sent = [("x-amz-checksum-sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")];
    let put = fixture.send(Method::PUT, "/bucket/key", &sent, b"abc").await;
    assert_eq!(put.header(sent[0].0), sent[0].1, "{}", put.body);
    assert_eq!(put.header("x-amz-checksum-type"), "FULL_OBJECT");
    let enabled = ("x-amz-checksum-mode", "ENABLED");
    for (headers, expected) in
        [(vec![], ""), (vec![enabled], sent[0].1), (vec![enabled, ("range", "bytes=0-1")], "")]
    {
        let got = fixture.send(Method::GET, "/bucket/key", &headers, b"").await;
        assert_eq!(got.header(sent[0].0), expected, "{headers:?}");
    }
    let algorithm = [("x-amz-checksum-algorithm", "SHA256")];
    let begun = fixture.send(Method::POST, "/bucket/parts?uploads", &algorithm, b"").await;
    assert_eq!(begun.header("x-amz-checksum-type"), "COMPOSITE");
    let target = format!("/bucket/parts?partNumber=1&uploadId={}", begun.text("UploadId"));
    let part = fixture.send(Method::PUT, &target, &sent, b"abc").await;
    assert_eq!(part.header(sent[0].0), sent[0].1);
    let other = [("x-amz-checksum-crc32", "NSRBwg==")];
    let refused = fixture.send(Method::PUT, &target, &other, b"abc").await;
    assert_eq!(refused.verdict(), "400 InvalidRequest");
}
