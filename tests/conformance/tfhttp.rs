//! Terraform's `http` backend as a client sees it: every status, and that its locks are those of S3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::clock::wait_until;
use crate::harness::digest::{etag, md5_base64};
use crate::harness::http::Connection;
use crate::harness::sigv4::Keys;
use crate::harness::{Ask, Client, Payload, Response, Server};

const LOCK: &str = r#"{"ID":"one","Operation":"OperationTypeApply","Info":"","Who":"a@b","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":""}"#;
const OTHER: &str = r#"{"ID":"two","Operation":"OperationTypePlan","Info":"","Who":"c@d","Version":"1.11.4","Created":"2026-11-21T20:37:52.919310876Z","Path":""}"#;
const STATE: &str =
    r#"{"version":4,"terraform_version":"1.11.4","serial":1,"lineage":"l","outputs":{}}"#;
const NEWER: &str =
    r#"{"version":4,"terraform_version":"1.11.4","serial":2,"lineage":"l","outputs":{}}"#;
/// Longest lock that is taken.
const LOCK_BYTES_MAX: usize = 32 << 10;

/// What a request is, and what it must get. Paths are after `/_/tf`; `s3:` marks S3's own.
type Step<'a> = (&'a str, &'a str, &'a str, u16, &'a str);

fn basic(keys: &Keys) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", keys.access, keys.secret)))
}

/// A request as Terraform sends it.
fn ask(keys: &Keys, method: &str, path: &str, body: &str) -> Ask {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let ask = Ask::new(method, &format!("/_/tf{path}"))
        .anonymous()
        .header("Authorization", &basic(keys))
        .body(body);
    let ask = match body {
        "" => ask,
        body => ask.header("Content-MD5", &md5_base64(body.as_bytes())),
    };
    query.split_once('=').into_iter().fold(ask, |ask, (name, value)| ask.query(name, value))
}

/// Runs steps in order; the last field is what the answer's body must contain.
#[track_caller]
fn run(client: &Client, steps: &[Step<'_>]) {
    for (number, (method, path, body, status, contains)) in steps.iter().enumerate() {
        let answer = match path.strip_prefix("s3:") {
            None => client.send(&ask(&client.keys, method, path, body)),
            Some(path) => {
                let ask = Ask::new(method, path).body(*body);
                let lock = *method == "PUT" && path.ends_with(".tflock");
                client.send(&if lock { ask.header("If-None-Match", "*") } else { ask })
            }
        };
        let step = format!("step {number}: {method} {path}: {}", answer.text());
        assert_eq!(answer.status, *status, "{step}");
        assert!(answer.text().contains(contains), "no {contains:?} in {step}");
        assert!(answer.header("x-amz-request-id").is_some_and(|id| id.len() == 16), "{step}");
    }
}

fn started(versioning: &str) -> (Server, Client) {
    let server = Server::start(&[]);
    server.make_bucket("states", versioning);
    let root = server.root();
    (server, root)
}

#[test]
fn a_run_from_the_first_read_to_the_unlock() {
    for versioning in ["", "Enabled", "Suspended"] {
        let (_server, root) = started(versioning);
        let steps: &[Step<'_>] = &[
            ("GET", "/states/app/k", "", 404, "NoSuchState"),
            ("HEAD", "/states/app/k", "", 404, ""),
            ("LOCK", "/states/app/k", LOCK, 200, ""),
            ("LOCK", "/states/app/k", LOCK, 200, ""),
            ("POST", "/states/app/k?ID=one", STATE, 200, ""),
            ("GET", "/states/app/k", "", 200, STATE),
            ("PUT", "/states/app/k?ID=one", NEWER, 200, ""),
            ("GET", "s3:/states/app/k", "", 200, NEWER),
            ("UNLOCK", "/states/app/k", LOCK, 200, ""),
            ("UNLOCK", "/states/app/k", LOCK, 200, ""),
            ("GET", "s3:/states/app/k.tflock", "", 404, "NoSuchKey"),
            ("POST", "/states/app/k", STATE, 200, ""),
            ("DELETE", "/states/app/k", "", 200, ""),
            ("DELETE", "/states/app/k", "", 200, ""),
            ("GET", "/states/app/k", "", 404, "NoSuchState"),
        ];
        run(&root, steps);
    }
}

#[test]
fn a_lock_is_for_one() {
    for versioning in ["", "Enabled"] {
        let (_server, root) = started(versioning);
        let steps: &[Step<'_>] = &[
            ("LOCK", "/states/k", LOCK, 200, ""),
            ("LOCK", "/states/k", OTHER, 423, LOCK),
            ("LOCK", "/states/other", OTHER, 200, ""),
            ("POST", "/states/k", STATE, 423, "a@b holds lock one"),
            ("POST", "/states/k?ID=two", STATE, 409, r#""ID":"one""#),
            ("DELETE", "/states/k", "", 423, "a@b holds lock one"),
            ("DELETE", "/states/k?ID=two", "", 423, "a@b holds lock one"),
            ("UNLOCK", "/states/k", OTHER, 409, r#""ID":"one""#),
            ("GET", "/states/k", "", 404, "NoSuchState"),
            ("UNLOCK", "/states/k", LOCK, 200, ""),
            ("POST", "/states/k?ID=one", STATE, 409, "lock one is not held any more"),
            ("DELETE", "/states/k?ID=one", "", 409, "LockLost"),
            ("LOCK", "/states/k", OTHER, 200, ""),
            ("UNLOCK", "/states/k", LOCK, 409, r#""Who":"c@d""#),
            ("DELETE", "/states/k?ID=two", "", 200, ""),
        ];
        run(&root, steps);
    }
}

#[test]
fn s3_and_http_exclude_each_other() {
    let (_server, root) = started("Enabled");
    let steps: &[Step<'_>] = &[
        ("PUT", "s3:/states/k.tflock", LOCK, 200, ""),
        ("LOCK", "/states/k", OTHER, 423, LOCK),
        ("POST", "/states/k", STATE, 423, "a@b"),
        ("UNLOCK", "/states/k", OTHER, 409, "a@b"),
        ("DELETE", "s3:/states/k.tflock", "", 204, ""),
        ("LOCK", "/states/k", OTHER, 200, ""),
        ("PUT", "s3:/states/k.tflock", LOCK, 412, "PreconditionFailed"),
        ("GET", "s3:/states/k.tflock", "", 200, OTHER),
        ("UNLOCK", "/states/k", OTHER, 200, ""),
        ("PUT", "s3:/states/k.tflock", LOCK, 200, ""),
        ("UNLOCK", "/states/k", LOCK, 200, ""),
        ("PUT", "s3:/states/k", STATE, 200, ""),
        ("GET", "/states/k", "", 200, STATE),
    ];
    run(&root, steps);
}

#[test]
fn an_unlock_without_an_id_is_by_force() {
    let (_server, root) = started("");
    for body in ["", "{}", r#"{"ID":"","Operation":"","Info":"","Who":""}"#] {
        let steps: &[Step<'_>] = &[
            ("UNLOCK", "/states/k", body, 200, ""),
            ("LOCK", "/states/k", LOCK, 200, ""),
            ("UNLOCK", "/states/k", body, 200, ""),
            ("LOCK", "/states/k", OTHER, 200, ""),
            ("UNLOCK", "/states/k", OTHER, 200, ""),
        ];
        run(&root, steps);
    }
    // An object that is no lock can only be taken away like this.
    let steps: &[Step<'_>] = &[
        ("PUT", "s3:/states/k.tflock", "no lock", 200, ""),
        ("LOCK", "/states/k", LOCK, 423, "not a lock"),
        ("POST", "/states/k?ID=one", STATE, 409, "not a lock"),
        ("UNLOCK", "/states/k", LOCK, 409, "not a lock"),
        ("UNLOCK", "/states/k", "", 200, ""),
        ("LOCK", "/states/k", LOCK, 200, ""),
    ];
    run(&root, steps);
}

#[test]
fn what_is_not_well_formed() {
    let (_server, root) = started("");
    let long = format!(r#"{{"ID":"one","Info":"{}"}}"#, "x".repeat(LOCK_BYTES_MAX));
    let steps: &[Step<'_>] = &[
        ("LOCK", "/states/k", "", 400, "InvalidLock"),
        ("LOCK", "/states/k", "no lock", 400, "InvalidLock"),
        ("LOCK", "/states/k", r#"{"ID":""}"#, 400, "InvalidLock"),
        ("LOCK", "/states/k", &long, 400, "MaxMessageLengthExceeded"),
        ("UNLOCK", "/states/k", "no lock", 400, "InvalidLock"),
        ("GET", "/states/k.tflock", "", 400, "InvalidAddress"),
        ("POST", "/states/k.tflock", STATE, 400, "InvalidAddress"),
        ("GET", "/states/", "", 400, "InvalidAddress"),
        ("GET", "/states", "", 400, "InvalidAddress"),
        ("GET", "/", "", 400, "InvalidAddress"),
        ("GET", "/States/k", "", 400, "InvalidAddress"),
        ("GET", "/states/%FF", "", 400, "InvalidAddress"),
        ("GET", "/states/a%00b", "", 400, "InvalidAddress"),
        ("GET", "/states/%4", "", 400, "InvalidAddress"),
        // Not 404: that would be a state that was never written.
        ("GET", "/no-such-bucket/k", "", 400, "NoSuchBucket"),
        ("POST", "/no-such-bucket/k", STATE, 400, "NoSuchBucket"),
        ("LOCK", "/no-such-bucket/k", LOCK, 400, "NoSuchBucket"),
        ("UNLOCK", "/no-such-bucket/k", LOCK, 400, "NoSuchBucket"),
        ("DELETE", "/no-such-bucket/k", "", 400, "NoSuchBucket"),
        ("PATCH", "/states/k", "", 405, "MethodNotAllowed"),
        ("PROPFIND", "/states/k", "", 405, "MethodNotAllowed"),
    ];
    run(&root, steps);
    let refused = root.send(&ask(&root.keys, "OPTIONS", "/states/k", "")).expect(405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST, PUT, DELETE, LOCK, UNLOCK"));
    for digest in ["garbage!", &md5_base64(b"another body")] {
        for (method, body) in [("POST", STATE), ("LOCK", LOCK)] {
            let ask = Ask::new(method, "/_/tf/states/k").anonymous().body(body);
            let ask = ask.header("Authorization", &basic(&root.keys));
            let refused = root.send(&ask.header("Content-MD5", digest)).expect(400);
            assert!(refused.text().contains("Digest"), "{}", refused.text());
        }
    }
    run(&root, &[("LOCK", "/states/k", LOCK, 200, "")]);
}

#[test]
fn who_may() {
    let (server, root) = started("");
    run(&root, &[("POST", "/states/k", STATE, 200, "")]);
    let other = server.user("other");
    let denied: &[Step<'_>] = &[
        ("GET", "/states/k", "", 403, "AccessDenied"),
        ("POST", "/states/k", NEWER, 403, "AccessDenied"),
        ("DELETE", "/states/k", "", 403, "AccessDenied"),
        ("LOCK", "/states/k", LOCK, 403, "AccessDenied"),
        ("UNLOCK", "/states/k", LOCK, 403, "AccessDenied"),
    ];
    run(&other, denied);
    let lists = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket",
                    "Resource":"arn:aws:s3:::states"}}"#;
    root.send(&Ask::bucket("PUT", "states").query("policy", "").body(lists)).expect(204);
    run(&other, denied);
    // Who may list may know that there is no state, and do nothing with what is made in its place.
    let missing: &[Step<'_>] = &[
        ("GET", "/states/none", "", 404, "NoSuchState"),
        ("LOCK", "/states/none", LOCK, 403, "AccessDenied"),
        ("UNLOCK", "/states/none", LOCK, 403, "AccessDenied"),
    ];
    run(&other, missing);
    let wrong = [
        basic(&Keys::new(&root.keys.access, "wrong")),
        basic(&Keys::new(&root.keys.access, "")),
        basic(&Keys::new("NOBODYNOBODYNOBODY00", &root.keys.secret)),
        basic(&Keys::new(&other.keys.access, &root.keys.secret)),
        "Basic".to_owned(),
        "Basic !".to_owned(),
        "Basic YQ==".to_owned(),
        "Bearer YQ==".to_owned(),
    ];
    let mut answers = std::collections::BTreeSet::new();
    for authorization in &wrong {
        let ask = Ask::new("GET", "/_/tf/states/k").anonymous();
        let refused = root.send(&ask.header("Authorization", authorization));
        // A scheme that nobody knows is S3's to refuse, as ever.
        assert!(matches!(refused.status, 400 | 401), "{authorization}: {}", refused.text());
        if authorization.starts_with("Basic ") {
            refused.clone().expect(401);
            answers.insert(refused.text());
        }
    }
    assert_eq!(answers.len(), 1, "it is told which part is wrong: {answers:?}");
    let anonymous = root.send(&Ask::new("POST", "/_/tf/states/k").anonymous().body(NEWER));
    let anonymous = anonymous.expect(401);
    assert_eq!(anonymous.header("www-authenticate"), Some("Basic realm=\"tidelock\""));
    run(&root, &[("GET", "/states/k", "", 200, STATE)]);
}

#[test]
fn signatures_are_taken_as_everywhere() {
    let (_server, root) = started("");
    let path = "/_/tf/states/k";
    root.send(&Ask::new("LOCK", path).body(LOCK)).expect(200);
    root.send(&Ask::new("POST", path).query("ID", "one").body(STATE)).expect(200);
    assert_eq!(root.send(&Ask::new("GET", path)).expect(200).text(), STATE);
    let said = Payload::Said("0".repeat(64));
    let rows = [
        (root.clone(), Ask::new("POST", path).query("ID", "one").body(NEWER).payload(said), 400),
        (root.with_keys(Keys::new(&root.keys.access, "wrong")), Ask::new("GET", path), 403),
        (root.with_keys(Keys::new("NOBODYNOBODYNOBODY00", "x")), Ask::new("GET", path), 403),
        (root.clone(), Ask::new("GET", path).skewed(3600), 403),
    ];
    for (client, ask, status) in rows {
        let refused = client.send(&ask);
        assert_eq!(refused.status, status, "{}", refused.text());
    }
    assert_eq!(root.send(&Ask::new("GET", path)).expect(200).text(), STATE);
    root.send(&Ask::new("UNLOCK", path).body(LOCK)).expect(200);
}

#[test]
fn what_a_read_shows() {
    let (_server, root) = started("Enabled");
    let get = |method: &str| -> Response { root.send(&ask(&root.keys, method, "/states/k", "")) };
    run(&root, &[("POST", "/states/k", STATE, 200, "")]);
    for (method, body) in [("GET", STATE), ("HEAD", "")] {
        let answer = get(method).expect(200);
        assert_eq!(answer.text(), body);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("content-length", STATE.len().to_string()),
            ("content-md5", md5_base64(STATE.as_bytes())),
            ("etag", etag(STATE.as_bytes())),
            ("cache-control", "no-store".to_owned()),
        ];
        for (name, value) in headers {
            assert_eq!(answer.header(name), Some(value.as_str()), "{method} {name}");
        }
    }
    let stored = root.send(&Ask::object("HEAD", "states", "k")).expect(200);
    assert_eq!(stored.header("content-type"), Some("application/json"));
    // Larger than what is kept in a row, and empty.
    for body in ["x".repeat(3 << 20), String::new()] {
        run(&root, &[("POST", "/states/k", &body, 200, "")]);
        let answer = get("GET").expect(200);
        assert_eq!(answer.body.len(), body.len());
        assert_eq!(answer.header("content-md5"), Some(md5_base64(body.as_bytes()).as_str()));
    }
    // The entity tag of a multipart object is no MD5 of it.
    let upload = root.send(&Ask::object("POST", "states", "k").query("uploads", "")).expect(200);
    let upload = upload.element("UploadId").unwrap();
    let part =
        Ask::object("PUT", "states", "k").query("partNumber", "1").query("uploadId", &upload);
    let part = root.send(&part.body(STATE)).expect(200).etag();
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let complete = Ask::object("POST", "states", "k").query("uploadId", &upload).body(list);
    root.send(&complete).expect(200);
    let answer = get("GET").expect(200);
    assert_eq!((answer.text().as_str(), answer.header("content-md5")), (STATE, None));
    assert!(answer.etag().ends_with("-1\""));
}

#[test]
fn nothing_is_asked_for_that_is_refused_anyway() {
    let (_server, root) = started("");
    run(&root, &[("LOCK", "/states/k", LOCK, 200, "")]);
    let refused = [
        (ask(&root.keys, "POST", "/states/k", STATE), 423),
        (ask(&root.keys, "POST", "/states/k?ID=two", STATE), 409),
        (ask(&Keys::new("A", "s"), "POST", "/states/k?ID=one", STATE), 401),
    ];
    for (ask, status) in refused {
        let (head, _) = root.head_and_body(&ask.header("Expect", "100-continue"));
        let mut connection = Connection::open(root.address).unwrap();
        connection.send(&head).unwrap();
        let answer = connection.receive(false).unwrap();
        assert_eq!((answer.status, answer.continued), (status, false), "{}", answer.text());
    }
    // A body that is cut off leaves no trace.
    let (head, body) = root.head_and_body(&ask(&root.keys, "POST", "/states/k?ID=one", STATE));
    let mut connection = Connection::open(root.address).unwrap();
    connection.send(&[&head[..], &body[..body.len() / 2]].concat()).unwrap();
    drop(connection);
    run(&root, &[("GET", "/states/k", "", 404, "NoSuchState")]);
}

#[test]
fn it_is_logged_and_counted_by_name() {
    let (server, root) = started("");
    let steps: &[Step<'_>] = &[
        ("LOCK", "/states/env%3A/k", LOCK, 200, ""),
        ("LOCK", "/states/env%3A/k", OTHER, 423, ""),
        ("POST", "/states/env%3A/k?ID=one", STATE, 200, ""),
        ("GET", "/states/env%3A/k", "", 200, ""),
        ("UNLOCK", "/states/env%3A/k", LOCK, 200, ""),
        ("DELETE", "/states/env%3A/k", "", 200, ""),
    ];
    run(&root, steps);
    let line = |operation: &str, code: &str| {
        let place = "bucket=\"states\" key=\"env:/k\"";
        server.log().lines().any(|line| {
            let all = [place, &format!("op=\"{operation}\""), &format!("code=\"{code}\"")];
            line.contains("request.id=") && all.iter().all(|part| line.contains(*part))
        })
    };
    for (operation, code) in [
        ("TfLock", "OK"),
        ("TfLock", "Locked"),
        ("TfPutState", "OK"),
        ("TfGetState", "OK"),
        ("TfUnlock", "OK"),
        ("TfDeleteState", "OK"),
    ] {
        let what = format!("a line of {operation} {code}");
        wait_until(&what, std::time::Duration::from_secs(5), || line(operation, code));
        let metric =
            format!("tidelock_requests_total{{operation=\"{operation}\",code=\"{code}\"}}");
        let metrics = root.send(&Ask::new("GET", "/_/metrics").anonymous()).expect(200).text();
        assert!(metrics.contains(&metric), "no {metric}");
    }
    let log = server.log();
    for secret in [&root.keys.secret, &basic(&root.keys), "ID=one", "OperationTypeApply"] {
        assert!(!log.contains(secret), "the log has a secret");
    }
}

/// Many clients at once, half of them by S3: one gets the lock, and everybody is told who.
#[test]
fn a_lock_has_one_winner_across_both_protocols() {
    let (_server, root) = started("Enabled");
    for round in 0..10 {
        let contenders: Vec<_> = (0..8)
            .map(|number| {
                let (root, key) = (root.clone(), format!("r{round}"));
                std::thread::spawn(move || {
                    let lock = LOCK.replace("\"one\"", &format!("\"{number}\""));
                    let path = format!("/states/{key}");
                    if number % 2 == 0 {
                        return root.send(&ask(&root.keys, "LOCK", &path, &lock));
                    }
                    let put = Ask::object("PUT", "states", &format!("{key}.tflock"));
                    root.send(&put.header("If-None-Match", "*").body(lock))
                })
            })
            .collect();
        let answers: Vec<_> = contenders.into_iter().map(|it| it.join().unwrap()).collect();
        let winners = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(winners, 1, "round {round}: {answers:?}");
        let stored = root.send(&Ask::object("GET", "states", &format!("r{round}.tflock"))).text();
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            assert!(matches!(refused.status, 412 | 423), "{}", refused.text());
            assert!(refused.status == 412 || refused.text() == stored, "{}", refused.text());
        }
    }
}
