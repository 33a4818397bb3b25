//! Who may do what: policies of buckets, access control lists, public access blocks, and requests that
//! nobody signed. Each row is a rule: what a bucket says, and what then comes of requests by its owner,
//! by another user, and by nobody.

use serde_json::{Value, json};

use crate::harness::{Ask, Client, Response, Server};

const BUCKET: &str = "access";
const CONFIRMED: &str = "If-None-Match";

/// A server with one bucket of Ann's, in which there are `a`, `public/b` and a tagged `t`.
struct World {
    server: Server,
    ann: Client,
    bob: Client,
}

/// Somebody's request, and the status of its answer.
type Try = (Who, Ask, u16);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    Ann,
    Bob,
    Nobody,
}

impl World {
    fn new(arguments: &[&str]) -> Self {
        let server = Server::start(arguments);
        let (ann, bob) = (server.user("ann"), server.user("bob"));
        ann.send(&Ask::bucket("PUT", BUCKET)).expect(200);
        for key in ["a", "public/b"] {
            ann.send(&Ask::object("PUT", BUCKET, key).body(key)).expect(200);
        }
        let tagged = Ask::object("PUT", BUCKET, "t").header("x-amz-tagging", "secret=no").body("t");
        ann.send(&tagged).expect(200);
        Self { server, ann, bob }
    }

    fn send(&self, who: Who, ask: Ask) -> Response {
        match who {
            Who::Root => self.server.root().send(&ask),
            Who::Ann => self.ann.send(&ask),
            Who::Bob => self.bob.send(&ask),
            Who::Nobody => self.bob.send(&ask.anonymous()),
        }
    }

    fn set_policy(&self, statements: &Value) -> Response {
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        self.ann.send(&Ask::bucket("PUT", BUCKET).query("policy", "").body(policy))
    }

    fn block(&self, switches: &str) {
        let switches = switches.split_whitespace();
        let switches: String = switches.map(|name| format!("<{name}>true</{name}>")).collect();
        let document =
            format!("<PublicAccessBlockConfiguration>{switches}</PublicAccessBlockConfiguration>");
        let ask = Ask::bucket("PUT", BUCKET).query("publicAccessBlock", "").body(document);
        self.ann.send(&ask).expect(200);
    }

    fn check(&self, rule: &str, rows: &[Try]) {
        for (who, ask, status) in rows {
            let answer = self.send(*who, ask.clone());
            let what = format!("{rule}: {who:?} {} {}", ask.method, ask.raw_path);
            assert_eq!(answer.status, *status, "{what}\n{}", answer.text());
            if *status == 403 && ask.method != "HEAD" {
                assert_eq!(answer.code(), "AccessDenied", "{what}");
            }
        }
    }
}

fn get(key: &str) -> Ask {
    Ask::object("GET", BUCKET, key)
}

fn put(key: &str) -> Ask {
    Ask::object("PUT", BUCKET, key).body("new")
}

fn list(prefix: &str) -> Ask {
    Ask::bucket("GET", BUCKET).query("list-type", "2").query("prefix", prefix)
}

fn statement(effect: &str, principal: &Value, action: &str, resource: &str) -> Value {
    let resource = format!("arn:aws:s3:::{BUCKET}{resource}");
    json!({"Effect": effect, "Principal": principal, "Action": action, "Resource": resource})
}

fn allow(action: &str, resource: &str) -> Value {
    statement("Allow", &json!("*"), action, resource)
}

fn with(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

#[test]
fn policies_of_buckets() {
    let world = World::new(&[]);
    use Who::{Ann, Bob, Nobody, Root};
    let bob = json!({"AWS": "arn:aws:iam::000000000000:user/bob"});
    let rows: Vec<(&str, Value, Vec<Try>)> = vec![
        (
            "what is allowed to everybody, nobody needs a key for",
            json!([allow("s3:GetObject", "/public/*")]),
            vec![
                (Nobody, get("public/b"), 200),
                (Nobody, get("public/b").query("response-content-type", "text/html"), 400),
                (Bob, get("public/b"), 200),
                (Nobody, get("a"), 403),
                (Bob, get("a"), 403),
                (Nobody, put("public/b"), 403),
                (Nobody, list(""), 403),
                (Ann, get("a"), 200),
                (Root, get("a"), 200),
            ],
        ),
        (
            "who may not list is not told what is missing",
            json!([allow("s3:GetObject", "/*")]),
            vec![(Bob, get("none"), 403), (Nobody, get("none"), 403), (Ann, get("none"), 404)],
        ),
        (
            "who may list there is",
            json!([
                allow("s3:GetObject", "/*"),
                with(allow("s3:ListBucket", ""), json!({"StringLike": {"s3:prefix": "public/*"}})),
            ]),
            vec![
                (Bob, get("public/none"), 404),
                (Bob, get("none"), 403),
                (Bob, list("public/"), 200),
                (Bob, list(""), 403),
                (Nobody, list("public/"), 200),
            ],
        ),
        (
            "one user is let in, with what they may do",
            json!([statement("Allow", &bob, "s3:*Object", "/*")]),
            vec![
                (Bob, get("a"), 200),
                (Bob, put("a"), 200),
                (Bob, Ask::object("DELETE", BUCKET, "gone"), 204),
                (Bob, list(""), 403),
                (Nobody, get("a"), 403),
            ],
        ),
        (
            "a denial is over everything, also over the owner and root",
            json!([statement("Deny", &json!("*"), "s3:GetObject", "/a"), allow("s3:Get*", "/*")]),
            vec![(Ann, get("a"), 403), (Root, get("a"), 403), (Bob, get("t"), 200)],
        ),
        (
            "an object is made only where there is none (conditional-writes-enforce)",
            json!([
                allow("s3:PutObject", "/*"),
                with(
                    statement("Deny", &json!("*"), "s3:PutObject", "/*"),
                    json!({
                        "Null": {"s3:if-none-match": "true"},
                        "Bool": {"s3:ObjectCreationOperation": "true"},
                    }),
                ),
            ]),
            vec![
                (Bob, put("once"), 403),
                (Ann, put("once"), 403),
                (Bob, put("once").header(CONFIRMED, "*"), 200),
                (Bob, put("once").header(CONFIRMED, "*"), 412),
                (Bob, Ask::object("POST", BUCKET, "parts").query("uploads", ""), 200),
                (Bob, put("copy").header("x-amz-copy-source", "/access/once"), 403),
            ],
        ),
        (
            "a comparison tells what is there: it needs to be readable (conditional deletes)",
            json!([allow("s3:DeleteObject", "/*"), allow("s3:PutObject", "/*")]),
            vec![
                (Bob, Ask::object("DELETE", BUCKET, "once").header("If-Match", "\"x\""), 403),
                (Bob, put("once").header("If-Match", "\"x\""), 403),
                (Bob, Ask::object("DELETE", BUCKET, "once").header("If-Match", "*"), 204),
            ],
        ),
        (
            "tags of what is there, and of what is sent",
            json!([
                with(
                    allow("s3:GetObject", "/*"),
                    json!({"StringEquals": {"s3:ExistingObjectTag/secret": "no"}}),
                ),
                allow("s3:PutObject", "/*"),
                with(
                    allow("s3:PutObjectTagging", "/*"),
                    json!({"StringEquals": {"s3:RequestObjectTag/team": "x"}}),
                ),
            ]),
            vec![
                (Nobody, get("t"), 200),
                (Nobody, get("a"), 403),
                (Bob, put("n").header("x-amz-tagging", "team=x"), 200),
                (Bob, put("n").header("x-amz-tagging", "team=y"), 403),
            ],
        ),
        (
            "networks and transports",
            json!([with(
                allow("s3:GetObject", "/*"),
                json!({
                    "IpAddress": {"aws:SourceIp": "127.0.0.0/8"},
                    "Bool": {"aws:SecureTransport": "false"},
                }),
            )]),
            vec![(Nobody, get("a"), 200)],
        ),
        (
            "a copy needs its source",
            json!([allow("s3:PutObject", "/*"), allow("s3:GetObject", "/public/*")]),
            vec![
                (Bob, put("c").header("x-amz-copy-source", "/access/public/b"), 200),
                (Bob, put("c").header("x-amz-copy-source", "/access/t"), 403),
            ],
        ),
        (
            "nobody is locked out of the policy of their bucket",
            json!([statement("Deny", &json!("*"), "s3:*", "")]),
            vec![
                (Ann, list(""), 403),
                (Ann, Ask::bucket("GET", BUCKET).query("policy", ""), 200),
                (Bob, Ask::bucket("GET", BUCKET).query("policy", ""), 403),
                (Ann, Ask::bucket("DELETE", BUCKET).query("policy", ""), 204),
                (Ann, list(""), 200),
            ],
        ),
    ];
    for (rule, policy, requests) in rows {
        world.set_policy(&policy).expect(204);
        world.check(rule, &requests);
    }
}

#[test]
fn deletes_of_many_are_decided_key_by_key() {
    let world = World::new(&[]);
    world.set_policy(&json!([allow("s3:DeleteObject", "/public/*")])).expect(204);
    let document =
        "<Delete><Object><Key>a</Key></Object><Object><Key>public/b</Key></Object></Delete>";
    let ask = Ask::bucket("POST", BUCKET).query("delete", "").body(document);
    let ask = ask.header("content-md5", &crate::harness::digest::md5_base64(document.as_bytes()));
    let answer = world.send(Who::Bob, ask.clone()).expect(200).text();
    let denied = "<Error><Key>a</Key><Code>AccessDenied</Code>";
    assert!(answer.contains(denied) && answer.contains("<Deleted><Key>public/b</Key>"), "{answer}");
    let gone = world.send(Who::Nobody, ask).expect(200).text();
    assert!(gone.contains(denied), "{gone}");
    world.check("what was denied is there", &[(Who::Ann, get("a"), 200)]);
    let nowhere = Ask::bucket("POST", "nowhere").query("delete", "").body(document);
    let nowhere =
        nowhere.header("content-md5", &crate::harness::digest::md5_base64(document.as_bytes()));
    assert_eq!(world.send(Who::Bob, nowhere).code(), "NoSuchBucket");
}

#[test]
fn a_policy_comes_back_as_it_was_sent_or_is_refused() {
    let world = World::new(&[]);
    let ask = |method: &str| Ask::bucket(method, BUCKET).query("policy", "");
    assert_eq!(world.ann.send(&ask("GET")).code(), "NoSuchBucketPolicy");
    let status = Ask::bucket("GET", BUCKET).query("policyStatus", "");
    let text = format!(
        "{{ \"Version\":\"2012-10-17\",\n \"Statement\": [{}] }}",
        allow("s3:GetObject", "/*")
    );
    world.ann.send(&ask("PUT").body(text.clone())).expect(204);
    let answer = world.ann.send(&ask("GET")).expect(200);
    assert_eq!(answer.text(), text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let public = |is_public: &str| {
        let answer = world.ann.send(&status).expect(200);
        assert_eq!(answer.element("IsPublic").as_deref(), Some(is_public));
    };
    public("true");
    let refused = [
        "",
        "no policy",
        "{}",
        r#"{"Version":"2012-10-17","Statement":[]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
            "Resource":"arn:aws:s3:::another/*"}]}"#,
    ];
    for document in refused {
        let answer = world.ann.send(&ask("PUT").body(document));
        assert_eq!((answer.status, answer.code().as_str()), (400, "MalformedPolicy"), "{document}");
    }
    let long = format!("{{\"Version\":\"2012-10-17\",{}", " ".repeat(21_000));
    assert_eq!(world.ann.send(&ask("PUT").body(long)).code(), "MalformedPolicy");
    assert_eq!(
        world.ann.send(&ask("GET")).expect(200).text(),
        text,
        "what was refused changes nothing"
    );
    world.ann.send(&ask("DELETE")).expect(204);
    world.ann.send(&ask("DELETE")).expect(204);
    public("false");
}

#[test]
fn public_access_is_blocked_where_the_block_says_so() {
    let world = World::new(&["--enable-acls"]);
    use Who::{Ann, Bob, Nobody};
    let public_policy = json!([allow("s3:GetObject", "/*")]);
    let acl = |name: &str| Ask::bucket("PUT", BUCKET).query("acl", "").header("x-amz-acl", name);
    world.set_policy(&public_policy).expect(204);
    world.check(
        "open",
        &[(Nobody, get("a"), 200), (Ann, acl("public-read"), 200), (Nobody, list(""), 200)],
    );
    world.block("RestrictPublicBuckets");
    world.check(
        "a public policy is for the account only",
        &[(Nobody, get("a"), 403), (Bob, get("a"), 200), (Ann, get("a"), 200)],
    );
    world.block("IgnorePublicAcls");
    world.check("public lists are nothing", &[(Nobody, list(""), 403), (Bob, list(""), 403)]);
    world.block("BlockPublicAcls");
    let object = put("p").header("x-amz-acl", "public-read");
    world.check(
        "public lists are not taken",
        &[(Ann, acl("public-read"), 403), (Ann, object, 403), (Ann, acl("private"), 200)],
    );
    world.block("BlockPublicPolicy");
    assert_eq!(world.set_policy(&public_policy).status, 403);
    let bob = json!({"AWS": "arn:aws:iam::000000000000:user/bob"});
    world.set_policy(&json!([statement("Allow", &bob, "s3:GetObject", "/*")])).expect(204);
}

#[test]
fn access_control_lists() {
    let world = World::new(&["--enable-acls"]);
    use Who::{Ann, Bob, Nobody, Root};
    let bob_id = owner_id(&world.bob);
    let acl = |key: Option<&str>| {
        let ask =
            key.map_or_else(|| Ask::bucket("PUT", BUCKET), |key| Ask::object("PUT", BUCKET, key));
        ask.query("acl", "")
    };
    let canned = |key: Option<&str>, name: &str| acl(key).header("x-amz-acl", name);
    world.check("closed", &[(Bob, get("a"), 403), (Nobody, get("a"), 403), (Bob, list(""), 403)]);
    world.check(
        "an object for everybody, in a bucket that is not",
        &[
            (Ann, canned(Some("a"), "public-read"), 200),
            (Nobody, get("a"), 200),
            (Nobody, get("t"), 403),
            (Nobody, list(""), 403),
            (Nobody, Ask::object("GET", BUCKET, "a").query("acl", ""), 403),
            (Ann, canned(Some("a"), "authenticated-read"), 200),
            (Nobody, get("a"), 403),
            (Bob, get("a"), 200),
        ],
    );
    world.check(
        "a bucket that everybody writes into",
        &[
            (Ann, canned(None, "public-read-write"), 200),
            (Nobody, put("of-nobody"), 200),
            (Bob, put("of-bob"), 200),
            (Bob, get("of-bob"), 200),
            (Nobody, list(""), 200),
            (Bob, get("t"), 403),
        ],
    );
    let object_acl = |key: &str| Ask::object("GET", BUCKET, key).query("acl", "");
    world.check(
        "what Bob wrote is Bob's, and root's",
        &[
            (Ann, object_acl("of-bob"), 403),
            (Ann, get("of-bob"), 403),
            (Bob, object_acl("of-bob"), 200),
            (Root, get("of-bob"), 200),
            (Ann, Ask::object("DELETE", BUCKET, "of-bob"), 204),
            (Bob, put("given").header("x-amz-acl", "bucket-owner-full-control"), 200),
            (Ann, get("given"), 200),
        ],
    );
    world.check(
        "grants",
        &[
            (Ann, acl(Some("t")).header("x-amz-grant-read", &format!("id={bob_id}")), 200),
            (Bob, get("t"), 200),
            (Bob, object_acl("t"), 403),
            (Ann, acl(Some("t")).header("x-amz-grant-read", "id=nobody"), 400),
            (Ann, acl(Some("t")).header("x-amz-grant-read", "emailAddress=x@example.com"), 400),
            (Ann, canned(Some("t"), "private"), 200),
            (Bob, get("t"), 403),
        ],
    );
}

#[test]
fn lists_are_off_where_the_owner_of_the_bucket_owns_everything() {
    let world = World::new(&[]);
    let shown =
        world.ann.send(&Ask::bucket("GET", BUCKET).query("ownershipControls", "")).expect(200);
    assert_eq!(shown.element("ObjectOwnership").as_deref(), Some("BucketOwnerEnforced"));
    let acl = |name: &str| Ask::bucket("PUT", BUCKET).query("acl", "").header("x-amz-acl", name);
    let off = |ask: &Ask| {
        let answer = world.ann.send(ask);
        assert_eq!((answer.status, answer.code().as_str()), (400, "AccessControlListNotSupported"));
    };
    off(&acl("public-read"));
    off(&put("x").header("x-amz-acl", "public-read"));
    world.ann.send(&acl("private")).expect(200);
    let own = world.ann.send(&Ask::bucket("GET", BUCKET).query("acl", "")).expect(200).text();
    world.ann.send(&Ask::bucket("PUT", BUCKET).query("acl", "").body(own)).expect(200);
    let made = Ask::bucket("PUT", "another").header("x-amz-acl", "public-read");
    assert_eq!(world.ann.send(&made).code(), "InvalidBucketAclWithObjectOwnership");
    let controls = |ownership: &str| {
        Ask::bucket("PUT", BUCKET).query("ownershipControls", "").body(format!(
            "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule>\
             </OwnershipControls>"
        ))
    };
    world.ann.send(&controls("ObjectWriter")).expect(200);
    world.ann.send(&acl("public-read")).expect(200);
    let refused = world.ann.send(&controls("BucketOwnerEnforced"));
    assert_eq!(refused.code(), "InvalidBucketAclWithObjectOwnership");
    world.ann.send(&acl("private")).expect(200);
    world.ann.send(&controls("BucketOwnerEnforced")).expect(200);
    world.ann.send(&Ask::bucket("DELETE", BUCKET).query("ownershipControls", "")).expect(204);
    let none = world.ann.send(&Ask::bucket("GET", BUCKET).query("ownershipControls", ""));
    assert_eq!(none.code(), "OwnershipControlsNotFoundError");
}

#[test]
fn who_signs_nothing_gets_nothing_that_is_not_public() {
    let world = World::new(&[]);
    let rows = [
        Ask::new("GET", "/"),
        Ask::bucket("PUT", "new"),
        Ask::bucket("DELETE", BUCKET),
        Ask::bucket("GET", BUCKET),
        Ask::bucket("GET", BUCKET).query("policy", ""),
        Ask::bucket("PUT", BUCKET).query("policy", "").body("{}"),
        Ask::bucket("PUT", BUCKET).query("acl", "").header("x-amz-acl", "public-read"),
        Ask::bucket("PUT", BUCKET).query("versioning", ""),
        Ask::bucket("GET", BUCKET).query("abac", ""),
        get("a"),
        get("none"),
        put("a"),
        Ask::object("DELETE", BUCKET, "a"),
        Ask::object("POST", BUCKET, "a").query("uploads", ""),
        Ask::object("POST", BUCKET, "a").query("restore", ""),
    ];
    let rows = rows.map(|ask| (Who::Nobody, ask, 403));
    world.check("nobody", &rows);
    assert_eq!(world.send(Who::Nobody, Ask::object("GET", "nowhere", "a")).code(), "NoSuchBucket");
}

fn owner_id(client: &Client) -> String {
    client.send(&Ask::new("GET", "/")).expect(200).element("ID").unwrap()
}

#[test]
fn only_a_trusted_proxy_says_where_a_request_comes_from() {
    use Who::Nobody;
    let from = |address: &str, protocol: &str| {
        get("a").header("x-forwarded-for", address).header("x-forwarded-proto", protocol)
    };
    let condition = json!({
        "IpAddress": {"aws:SourceIp": "192.0.2.0/24"},
        "Bool": {"aws:SecureTransport": "true"},
    });
    let policy = json!([with(allow("s3:GetObject", "/*"), condition)]);
    let rows = |is_believed: bool| {
        let found = if is_believed { 200 } else { 403 };
        vec![
            (Nobody, get("a"), 403),
            (Nobody, from("192.0.2.1", "https"), found),
            (Nobody, from("203.0.113.5, 192.0.2.1", "https"), found),
            (Nobody, from("192.0.2.1, 203.0.113.5", "https"), 403),
            (Nobody, from("192.0.2.1", "http"), 403),
            (Nobody, from("203.0.113.5", "https"), 403),
        ]
    };
    let lanes: [(&[&str], bool); 3] = [
        (&[], false),
        (&["--trusted-proxy", "10.0.0.0/8"], false),
        (&["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1"], true),
    ];
    for (arguments, is_believed) in lanes {
        let world = World::new(arguments);
        assert!(world.set_policy(&policy).status < 300);
        world.check(&format!("{arguments:?}"), &rows(is_believed));
    }
}
