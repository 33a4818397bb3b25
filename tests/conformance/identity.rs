//! Who is who: STS and IAM at `POST /`, users who own their buckets, and buckets closed to others.

use crate::harness::digest::md5_base64;
use crate::harness::{Ask, Client, Response, Server};

fn query_api(client: &Client, service: &str, action: &str) -> Response {
    let body = format!("Action={action}&Version=2011-06-15");
    let ask = Ask::new("POST", "/")
        .service(service)
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(body);
    client.send(&ask)
}

#[test]
fn caller_identity() {
    let server = Server::start(&[]);
    let ann = server.user("ann");
    let rows = [
        (server.root(), "arn:aws:iam::000000000000:root"),
        (ann.clone(), "arn:aws:iam::000000000000:user/ann"),
    ];
    for (client, arn) in rows {
        let answer = query_api(&client, "sts", "GetCallerIdentity").expect(200);
        assert_eq!(answer.element("Arn").as_deref(), Some(arn));
        assert_eq!(answer.element("Account").as_deref(), Some("000000000000"));
        assert!(answer.element("UserId").is_some_and(|id| !id.is_empty()));
        assert_eq!(answer.header("content-type"), Some("text/xml"));
    }
    let user = query_api(&ann, "iam", "GetUser").expect(200);
    assert_eq!(user.element("UserName").as_deref(), Some("ann"));
    assert_eq!(user.element("Arn").as_deref(), Some("arn:aws:iam::000000000000:user/ann"));
    let unsigned = Ask::new("POST", "/").body("Action=GetCallerIdentity").anonymous();
    assert_eq!(server.root().send(&unsigned).status, 403);
    let unknown = query_api(&ann, "sts", "DoNothing");
    assert!((400..=501).contains(&unknown.status), "{}", unknown.text());
}

#[test]
fn a_bucket_is_its_owners() {
    let server = Server::start(&[]);
    let (ann, bob, root) = (server.user("ann"), server.user("bob"), server.root());
    ann.send(&Ask::bucket("PUT", "anns")).expect(200);
    ann.send(&Ask::object("PUT", "anns", "k").body("one")).expect(200);
    let denied = [
        Ask::object("GET", "anns", "k"),
        Ask::object("PUT", "anns", "k").body("two"),
        Ask::object("DELETE", "anns", "k"),
        Ask::bucket("GET", "anns").query("list-type", "2"),
        Ask::bucket("DELETE", "anns"),
        Ask::bucket("GET", "anns").query("versioning", ""),
        Ask::object("PUT", "anns", "none").header("If-None-Match", "*").body("x"),
    ];
    for ask in denied {
        let response = bob.send(&ask);
        let found = (response.status, response.code());
        assert_eq!(found, (403, "AccessDenied".to_owned()), "{} {}", ask.method, ask.raw_path);
    }
    let head = bob.send(&Ask::bucket("HEAD", "anns"));
    assert_eq!(head.status, 403);
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    let again = bob.send(&Ask::bucket("PUT", "anns"));
    assert_eq!((again.status, again.code()), (409, "BucketAlreadyExists".to_owned()));
    let copied = bob.send(&Ask::bucket("PUT", "bobs")).expect(200);
    assert_eq!(copied.status, 200);
    let ask = Ask::object("PUT", "bobs", "k").header("x-amz-copy-source", "/anns/k");
    assert_eq!(bob.send(&ask).status, 403, "a copy reads its source");
    assert_eq!(root.send(&Ask::object("GET", "anns", "k")).expect(200).body, b"one");
    let listed = bob.send(&Ask::new("GET", "/")).expect(200).text();
    assert!(listed.contains("bobs") && !listed.contains("anns"), "{listed}");
}

#[test]
fn the_same_lock_by_another_is_a_conflict() {
    let server = Server::start(&[]);
    let (ann, root) = (server.user("ann"), server.root());
    ann.send(&Ask::bucket("PUT", "anns")).expect(200);
    let lock = Ask::object("PUT", "anns", "k.tflock")
        .header("If-None-Match", "*")
        .body(r#"{"ID":"1","Operation":"","Info":"","Who":"","Version":"","Created":"2026-11-21T20:35:06Z","Path":""}"#);
    ann.send(&lock).expect(200);
    ann.send(&lock).expect(200);
    assert_eq!(root.send(&lock).status, 412);
}

/// To run Terraform is to delete lock objects. A lock of somebody else takes `tidelock:BreakLock`, over
/// each protocol.
#[test]
fn a_lock_of_another_is_broken_by_who_may() {
    const LOCK: &str = r#"{"ID":"1","Operation":"OperationTypeApply","Who":"me@host"}"#;
    let server = Server::start(&[]);
    server.make_guarded_bucket("states", "Enabled");
    let (root, ann, bob) = (server.root(), server.user("ann"), server.user("bob"));
    let policy = |action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":{action},"Resource":["arn:aws:s3:::states","arn:aws:s3:::states/*"]}}]}}"#
        )
    };
    let plain = r#""s3:*""#;
    let put = |action| {
        let ask = Ask::bucket("PUT", "states").query("policy", "").body(policy(action));
        root.send(&ask).expect(204);
    };
    let lock = || Ask::object("PUT", "states", "k.tflock").header("If-None-Match", "*").body(LOCK);
    let many = "<Delete><Object><Key>k.tflock</Key></Object></Delete>";
    let digest = md5_base64(many.as_bytes());
    let breaks = [
        (Ask::object("DELETE", "states", "k.tflock"), 204),
        (Ask::new("UNLOCK", "/_/tf/states/k").body(""), 200),
        (Ask::new("UNLOCK", "/_/tf/states/k").body(LOCK), 200),
        (
            Ask::bucket("POST", "states")
                .query("delete", "")
                .header("Content-MD5", &digest)
                .body(many),
            200,
        ),
    ];
    let stands = || root.send(&Ask::object("GET", "states", "k.tflock")).status;
    for (ask, done) in breaks {
        put(plain);
        ann.send(&lock()).expect(200);
        let refused = bob.send(&ask);
        let text = refused.text();
        assert!(text.contains("AccessDenied"), "{}: {} {text}", ask.raw_path, refused.status);
        assert_eq!(stands(), 200, "{}", ask.raw_path);
        put(r#"["s3:*","tidelock:BreakLock"]"#);
        bob.send(&ask).expect(done);
        assert_eq!(stands(), 404, "{}", ask.raw_path);
        // Whoever took it gives it back.
        put(plain);
        ann.send(&lock()).expect(200);
        ann.send(&ask).expect(done);
        assert_eq!(stands(), 404, "{}", ask.raw_path);
    }
}
