//! The protocol under S3: headers on every answer, `Expect: 100-continue`, virtual-host style, HTTP/2,
//! and bodies that never come.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::harness::http::Connection;
use crate::harness::sigv4::{Keys, Signer, signed_headers};
use crate::harness::{Ask, Server, clock};

#[test]
fn headers_on_every_answer() {
    let server = Server::start(&[]);
    server.make_bucket("shapes", "");
    let root = server.root();
    let asks = [
        Ask::new("GET", "/"),
        Ask::object("PUT", "shapes", "k").body("one"),
        Ask::object("GET", "shapes", "k"),
        Ask::object("GET", "shapes", "none"),
        Ask::object("GET", "shapes", "k").anonymous(),
        Ask::object("DELETE", "shapes", "k"),
        Ask::object("HEAD", "shapes", "none"),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for ask in asks {
        let response = root.send(&ask);
        let id = response.header("x-amz-request-id").unwrap_or_default().to_owned();
        assert!(!id.is_empty(), "{} {}: no request id", ask.method, ask.raw_path);
        assert!(response.header("x-amz-id-2").is_some_and(|it| !it.is_empty()));
        assert!(response.header("date").is_some_and(|date| date.ends_with(" GMT")));
        if response.status >= 400 && ask.method != "HEAD" {
            assert_eq!(response.element("RequestId"), Some(id.clone()), "{}", response.text());
            let host_id = response.header("x-amz-id-2").map(str::to_owned);
            assert_eq!(response.element("HostId"), host_id);
            assert!(response.text().starts_with("<?xml"), "{}", response.text());
        }
        assert!(ids.insert(id), "a request id came twice");
    }
}

#[test]
fn expect_100_continue() {
    let server = Server::start(&[]);
    server.make_bucket("expects", "");
    let root = server.root();
    let put =
        |bucket: &str| Ask::object("PUT", bucket, "k").header("Expect", "100-continue").body("one");
    let (head, body) = root.head_and_body(&put("expects"));
    let mut connection = Connection::open(server.address).unwrap();
    connection.send(&head).unwrap();
    assert_eq!(connection.receive_head().unwrap().0, 100, "asked for the body");
    connection.send(&body).unwrap();
    let response = connection.receive(false).unwrap();
    assert_eq!((response.status, response.header("connection")), (200, None));

    let nobody = root.with_keys(Keys::new("NOBODYNOBODYNOBODY00", "x"));
    for (client, bucket, status) in [(&root, "none", 404), (&nobody, "expects", 403)] {
        let (head, _) = client.head_and_body(&put(bucket));
        let mut connection = Connection::open(server.address).unwrap();
        connection.send(&head).unwrap();
        let response = connection.receive(false).unwrap();
        assert_eq!(response.status, status, "{}", response.text());
        assert!(!response.continued, "a body was asked for that is refused anyway");
        // The client may send the body nevertheless, or its next request: nobody can tell.
        assert_eq!(response.header("connection"), Some("close"), "{status}");
    }
}

#[test]
fn virtual_host_style() {
    let server = Server::start(&["--domain", "s3.test"]);
    server.make_bucket("hosted", "");
    let path_style = server.root();
    let port = server.address.port();
    let hosted = path_style.with_host(&format!("hosted.s3.test:{port}"));
    hosted.send(&Ask::new("PUT", "/a/b").body("one")).expect(200);
    let got = path_style.send(&Ask::object("GET", "hosted", "a/b")).expect(200);
    assert_eq!(got.body, b"one");
    let listed = hosted.send(&Ask::new("GET", "/").query("list-type", "2")).expect(200);
    assert_eq!(listed.element("Key").as_deref(), Some("a/b"));
    let bare = path_style.with_host(&format!("s3.test:{port}"));
    bare.send(&Ask::object("GET", "hosted", "a/b")).expect(200);
    let without_port = path_style.with_host("hosted.s3.test");
    without_port.send(&Ask::new("GET", "/a/b")).expect(200);
}

#[test]
fn a_connection_serves_many_requests() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "");
    let mut session = server.root().session();
    for round in 0..50 {
        let body = format!("body {round}");
        session.send(&Ask::object("PUT", "kept", "k").body(body.as_str())).expect(200);
        assert_eq!(session.send(&Ask::object("GET", "kept", "k")).expect(200).text(), body);
        session.send(&Ask::object("GET", "kept", "none")).expect(404);
        // Refused once its body was read, so that nothing is left on the connection.
        let refused = Ask::object("PUT", "kept", "k").header("If-None-Match", "*").body("refused");
        session.send(&refused).expect(412);
    }
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    let server = Server::start(&[]);
    server.make_bucket("by-h2", "");
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let root = server.root();
    for (method, path, body, status) in [
        ("PUT", "/by-h2/env%3A/k", "one", 200),
        ("GET", "/by-h2/env%3A/k", "", 200),
        ("HEAD", "/by-h2/env%3A/k", "", 200),
        ("GET", "/by-h2/none", "", 404),
    ] {
        let date = clock::amz_date(clock::now_seconds());
        let hash = crate::harness::digest::sha256_hex(body.as_bytes());
        let headers: Vec<(String, String)> =
            [("host", root.host.as_str()), ("x-amz-content-sha256", &hash), ("x-amz-date", &date)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec();
        let signer = Signer::new(&root.keys, "us-east-1", "s3", &date);
        let signature = signer.request(method, path, "", &headers, &hash);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            root.keys.access,
            signer.scope,
            signed_headers(&headers)
        );
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", root.host))
            .header("x-amz-date", &date)
            .header("x-amz-content-sha256", &hash)
            .header("authorization", authorization)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.version(), hyper::Version::HTTP_2);
        let found = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(found, status, "{method} {path}: {}", String::from_utf8_lossy(&text));
        if method == "GET" && status == 200 {
            assert_eq!(&text[..], b"one");
        }
    }
    drop(sender);
    driver.abort();
}
