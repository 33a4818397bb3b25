//! What somebody may do by who they are: policies of users and groups, roles, and the sessions that STS begins.

use serde_json::{Value, json};

use crate::harness::sigv4::{Keys, encode};
use crate::harness::{Ask, Client, Response, Server};

const ROLE: &str = "arn:aws:iam::000000000000:role/ci";

/// A server with Ann's bucket `anns` and a key `k` in it, and Bob.
struct World {
    server: Server,
    ann: Client,
    bob: Client,
}

impl World {
    fn new() -> Self {
        let server = Server::start(&[]);
        let (ann, bob) = (server.user("ann"), server.user("bob"));
        ann.send(&Ask::bucket("PUT", "anns")).expect(200);
        ann.send(&Ask::object("PUT", "anns", "k").body("one")).expect(200);
        Self { server, ann, bob }
    }

    fn give(&self, user: &str, statements: &Value) {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let body = json!({"document": document}).to_string();
        let path = format!("/_/api/v1/users/{user}/policies/p");
        self.server.root().send(&Ask::new("PUT", &path).body(body)).expect(204);
    }

    fn make_role(&self, trust: &Value, statements: &Value) {
        let statement = json!({"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Principal": trust});
        let trust = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let body = json!({"name": "ci", "trust_policy": trust,
            "policies": [{"name": "p", "document": policy}]});
        let ask = Ask::new("POST", "/_/api/v1/roles").body(body.to_string());
        self.server.root().send(&ask).expect(201);
    }
}

/// A rule, what is asked, and the status and code of the refusal.
type Refusal<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);

/// A session: its keys, and the token that goes with each request.
struct InSession {
    client: Client,
    token: String,
}

impl InSession {
    fn of(client: &Client, answer: &Response) -> Self {
        let element = |name: &str| answer.element(name).unwrap();
        let (access, secret) = (element("AccessKeyId"), element("SecretAccessKey"));
        let client = client.with_keys(Keys { access, secret });
        Self { client, token: element("SessionToken") }
    }

    fn send(&self, ask: Ask) -> Response {
        self.client.send(&ask.header("x-amz-security-token", &self.token))
    }
}

fn sts(client: &Client, action: &str, parameters: &[(&str, &str)]) -> Response {
    client.send(&sts_ask(action, parameters))
}

fn sts_ask(action: &str, parameters: &[(&str, &str)]) -> Ask {
    let mut body = format!("Action={action}&Version=2011-06-15");
    for (name, value) in parameters {
        body.push_str(&format!("&{name}={}", encode(value, false)));
    }
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    Ask::new("POST", "/").service("sts").header("content-type", form).body(body)
}

fn statement(effect: &str, action: &Value, resource: &str) -> Value {
    json!({"Effect": effect, "Action": action, "Resource": format!("arn:aws:s3:::{resource}")})
}

fn get(bucket: &str, key: &str) -> Ask {
    Ask::object("GET", bucket, key)
}

#[test]
fn policies_of_users_allow_and_deny() {
    let world = World::new();
    world.bob.send(&Ask::bucket("PUT", "bobs")).expect(200);
    world.bob.send(&Ask::object("PUT", "bobs", "k").body("two")).expect(200);
    assert_eq!(world.bob.send(&get("anns", "k")).status, 403);
    world.give(
        "bob",
        &json!([
            statement("Allow", &json!(["s3:GetObject", "s3:ListBucket"]), "anns*"),
            statement("Deny", &json!("s3:DeleteObject"), "*"),
        ]),
    );
    let rows = [
        ("what is allowed", get("anns", "k"), 200),
        ("what is allowed to list", Ask::bucket("GET", "anns").query("list-type", "2"), 200),
        ("what is missing there", get("anns", "none"), 404),
        ("what is not", Ask::object("PUT", "anns", "k").body("x"), 403),
        ("one's own", get("bobs", "k"), 200),
        ("one's own, denied", Ask::object("DELETE", "bobs", "k"), 403),
        ("a bucket that nothing allows to make", Ask::bucket("PUT", "more"), 403),
        ("one's own buckets", Ask::new("GET", "/"), 200),
    ];
    for (rule, ask, status) in rows {
        let answer = world.bob.send(&ask);
        assert_eq!(answer.status, status, "{rule}: {}", answer.text());
    }
    assert!(!world.bob.send(&Ask::new("GET", "/")).text().contains("anns"));
    world.give(
        "bob",
        &json!([statement("Allow", &json!(["s3:ListAllMyBuckets", "s3:CreateBucket"]), "*")]),
    );
    assert!(world.bob.send(&Ask::new("GET", "/")).text().contains("anns"));
    world.bob.send(&Ask::bucket("PUT", "more")).expect(200);
    assert_eq!(world.bob.send(&get("anns", "k")).status, 403, "replaced");
    let path = "/_/api/v1/users/bob/policies/p";
    world.server.root().send(&Ask::new("DELETE", path)).expect(204);
    assert!(!world.bob.send(&Ask::new("GET", "/")).text().contains("anns"));
    assert_eq!(world.bob.send(&Ask::new("DELETE", path)).status, 403, "root only");
}

#[test]
fn policies_of_groups_count_for_their_members() {
    let world = World::new();
    let root = world.server.root();
    let policy = |statements: &Value| {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        json!({"document": document}).to_string()
    };
    let api = |method: &str, path: &str, body: String, status: u16| {
        root.send(&Ask::new(method, &format!("/_/api/v1/{path}")).body(body)).expect(status);
    };
    let read = || world.bob.send(&get("anns", "k")).status;
    for group in ["readers", "locked"] {
        api("POST", "groups", json!({"name": group}).to_string(), 201);
    }
    let allow = policy(&json!([statement("Allow", &json!("s3:GetObject"), "anns/*")]));
    let deny = policy(&json!([statement("Deny", &json!("s3:*"), "anns/*")]));
    api("PUT", "groups/readers/policies/p", allow, 204);
    api("PUT", "groups/locked/policies/p", deny, 204);
    assert_eq!(read(), 403, "in no group");
    api("PUT", "groups/readers/members/bob", String::new(), 204);
    assert_eq!(read(), 200, "with the next request");
    // What one group denies, no other policy allows.
    api("PUT", "groups/locked/members/bob", String::new(), 204);
    world.give("bob", &json!([statement("Allow", &json!("s3:*"), "*")]));
    assert_eq!(read(), 403);
    api("DELETE", "groups/locked", String::new(), 409);
    api("DELETE", "groups/locked/members/bob", String::new(), 204);
    assert_eq!(read(), 200);
    api("DELETE", "users/bob/policies/p", String::new(), 204);
    assert_eq!(read(), 200, "still by the group");
    // In a session, too, and there no more than the session may.
    let made = sts(&world.bob, "GetSessionToken", &[]).expect(200);
    let session = InSession::of(&world.bob, &made);
    assert_eq!(session.send(get("anns", "k")).status, 200);
    api("DELETE", "groups/readers/policies/p", String::new(), 204);
    assert_eq!((read(), session.send(get("anns", "k")).status), (403, 403));
    // A group is nobody.
    let arn = "arn:aws:iam::000000000000:group/readers";
    let named = json!({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::anns/*"});
    let document = json!({"Version": "2012-10-17", "Statement": [named]}).to_string();
    let refused = world.ann.send(&Ask::bucket("PUT", "anns").query("policy", "").body(document));
    assert_eq!((refused.status, refused.code()), (400, "MalformedPolicy".to_owned()));
    for (method, path) in [("GET", "groups"), ("PUT", "groups/readers/members/ann")] {
        let ask = Ask::new(method, &format!("/_/api/v1/{path}"));
        assert_eq!(world.bob.send(&ask).status, 403, "{path}: root only");
    }
}

#[test]
fn a_role_is_assumed_and_narrowed() {
    let world = World::new();
    let allowed = json!(["s3:GetObject", "s3:PutObject"]);
    let tagged = json!({"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "core"}}});
    world.make_role(
        &json!({"AWS": "arn:aws:iam::000000000000:user/bob"}),
        &json!([statement("Allow", &allowed, "anns/*"), tagged]),
    );
    let named = [("RoleArn", ROLE), ("RoleSessionName", "run-7")];
    let assume = |client: &Client, more: &[(&str, &str)]| {
        sts(client, "AssumeRole", &[&named, more].concat())
    };
    let answer = assume(&world.bob, &[]).expect(200);
    let arn = "arn:aws:sts::000000000000:assumed-role/ci/run-7";
    assert_eq!(answer.element("Arn").as_deref(), Some(arn));
    let session = InSession::of(&world.bob, &answer);
    let identity = session.send(sts_ask("GetCallerIdentity", &[])).expect(200);
    assert_eq!(identity.element("Arn").as_deref(), Some(arn));
    assert!(identity.element("UserId").unwrap().ends_with(":run-7"));
    let policy = json!({"Version": "2012-10-17",
        "Statement": [statement("Allow", &json!("s3:GetObject"), "*")]})
    .to_string();
    let narrow = assume(&world.bob, &[("Policy", &policy)]).expect(200);
    let narrow = InSession::of(&world.bob, &narrow);
    let tags = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "core")];
    let tagged = InSession::of(&world.bob, &assume(&world.bob, &tags).expect(200));
    let put = || Ask::object("PUT", "anns", "k").body("new");
    let delete = || Ask::object("DELETE", "anns", "k");
    let rows = [
        ("read", get("anns", "k"), [200, 200, 200]),
        ("write", put(), [200, 403, 200]),
        ("list", Ask::bucket("GET", "anns").query("list-type", "2"), [403, 403, 403]),
        ("buckets", Ask::new("GET", "/"), [403, 403, 403]),
        ("make", Ask::bucket("PUT", "mine"), [403, 403, 403]),
        ("users", Ask::new("GET", "/_/api/v1/users"), [403, 403, 403]),
        ("delete", delete(), [403, 403, 204]),
    ];
    for (rule, ask, expected) in rows {
        let found = [&session, &narrow, &tagged].map(|it| it.send(ask.clone()).status);
        assert_eq!(found, expected, "{rule}");
    }
    // By a policy of the bucket: for the role, and for its sessions.
    let allow = json!({"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::anns"});
    let document = json!({"Version": "2012-10-17", "Statement": [allow]}).to_string();
    let ask = Ask::bucket("PUT", "anns").query("policy", "").body(document);
    world.ann.send(&ask).expect(204);
    let list = || Ask::bucket("GET", "anns").query("list-type", "2");
    assert_eq!([&session, &narrow].map(|it| it.send(list()).status), [200, 403]);
    // A token is good with its own key alone; without one the key is none.
    let mixed = InSession { client: session.client.clone(), token: narrow.token.clone() };
    assert_eq!(mixed.send(get("anns", "k")).code(), "InvalidToken");
    assert_eq!(session.client.send(&get("anns", "k")).code(), "InvalidAccessKeyId");
    let own = InSession { client: world.ann.clone(), token: session.token.clone() };
    assert_eq!(own.send(get("anns", "k")).code(), "InvalidToken");
    world.server.root().send(&Ask::new("DELETE", "/_/api/v1/roles/ci")).expect(204);
    assert_eq!(session.send(list()).code(), "InvalidToken", "it ends with its role");
}

#[test]
fn who_may_not_assume_a_role() {
    let world = World::new();
    world.make_role(
        &json!({"AWS": "000000000000"}),
        &json!([statement("Allow", &json!("s3:*"), "*")]),
    );
    let named = [("RoleArn", ROLE), ("RoleSessionName", "run-7")];
    let rows: &[Refusal<'_>] = &[
        ("an account is not each of it", &named, 403, "AccessDenied"),
        (
            "no role",
            &[("RoleArn", "arn:aws:iam::000000000000:role/x"), named[1]],
            403,
            "AccessDenied",
        ),
        ("no ARN", &[("RoleArn", "ci"), named[1]], 400, "ValidationError"),
        ("no name", &named[..1], 400, "ValidationError"),
        ("too short", &[named[0], named[1], ("DurationSeconds", "1")], 400, "ValidationError"),
        ("no policy", &[named[0], named[1], ("Policy", "{}")], 400, "MalformedPolicyDocument"),
    ];
    for (rule, parameters, status, code) in rows {
        let answer = sts(&world.bob, "AssumeRole", parameters);
        let found = (answer.status, answer.element("Code"));
        assert_eq!(found, (*status, Some((*code).to_owned())), "{rule}: {}", answer.text());
    }
    let may = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE});
    world.give("bob", &json!([may]));
    let longer = [named[0], named[1], ("DurationSeconds", "7200")];
    let answer = sts(&world.bob, "AssumeRole", &longer);
    assert_eq!(
        answer.element("Code").as_deref(),
        Some("ValidationError"),
        "longer than the role says"
    );
    let session = InSession::of(&world.bob, &sts(&world.bob, "AssumeRole", &named).expect(200));
    assert_eq!(session.send(get("anns", "k")).status, 200);
    let token = [named[0], named[1], ("WebIdentityToken", "x.y.z")];
    let unknown = world.bob.send(&sts_ask("AssumeRoleWithWebIdentity", &token).anonymous());
    assert_eq!(unknown.element("Code").as_deref(), Some("InvalidIdentityToken"));
    let unsigned = world.bob.send(&sts_ask("AssumeRole", &named).anonymous());
    assert_eq!(unsigned.status, 403);
}

#[test]
fn a_session_of_ones_own() {
    let world = World::new();
    let made = sts(&world.ann, "GetSessionToken", &[("DurationSeconds", "900")]).expect(200);
    let session = InSession::of(&world.ann, &made);
    assert_eq!(session.send(get("anns", "k")).status, 200);
    let identity = session.send(sts_ask("GetCallerIdentity", &[])).expect(200);
    assert_eq!(identity.element("Arn").as_deref(), Some("arn:aws:iam::000000000000:user/ann"));
    let again = session.send(sts_ask("GetSessionToken", &[]));
    assert_eq!(again.element("Code").as_deref(), Some("AccessDenied"));
    let root = world.server.root();
    let session = InSession::of(&root, &sts(&root, "GetSessionToken", &[]).expect(200));
    assert_eq!(session.send(Ask::new("GET", "/_/api/v1/users")).status, 200);
}
