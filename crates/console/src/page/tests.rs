//! Pages over an endpoint that answers what the rows say.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use tidelock_client::settings::Credentials;
use tidelock_client::{AnswerBody, Now, Settings, TransportError};

use super::*;
use crate::Config;
use crate::session::tests::Reversed;

/// An endpoint whose every object is a state that is said to have so many bytes.
#[derive(Debug)]
struct States(usize);

impl Transport for States {
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> BoxFuture<'static, Result<Response<AnswerBody>, TransportError>> {
        let is_state = request.uri().path().ends_with("/k");
        let (status, body) = match is_state {
            true => (StatusCode::OK, r#"{"version":4,"serial":1,"lineage":"l"}"#),
            false => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
        };
        let mut answer = Response::builder().status(status);
        if is_state {
            answer = answer.header(header::CONTENT_LENGTH, self.0);
        }
        let body = AnswerBody::new(http_body_util::BodyExt::map_err(
            Full::new(Bytes::from_static(body.as_bytes())),
            |never| match never {},
        ));
        Box::pin(std::future::ready(answer.body(body).map_err(TransportError::new)))
    }
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "a".to_owned(),
        secret_access_key: "s".to_owned(),
        session_token: None,
    }
}

/// What somebody who is signed in is answered: status, cookies, and the page.
async fn answered(
    (method, place): (&str, &str),
    form: &str,
    is_secure: bool,
    endpoint: States,
) -> (u16, Vec<String>, String) {
    let settings = Settings {
        endpoint: Uri::from_static("http://127.0.0.1"),
        region: "us-east-1".to_owned(),
        credentials: credentials(),
        ca_bundle: None,
    };
    let backend = Arc::new(|_: &str, _: &str| String::new());
    let config = Config { settings, backend, oidc: None, version: "0" };
    let now = Now::new(|| jiff::Timestamp::UNIX_EPOCH);
    let console = Console::new(config, Arc::new(Reversed), now);
    let session = Session::new(credentials(), "arn:ann".to_owned(), 1_000, &Reversed);
    let cookie = session.cookie(0, false, &Reversed).unwrap();
    let request = Request::builder()
        .method(method)
        .uri(format!("{PREFIX}{place}"))
        .header(header::HOST, "a.test")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie.split(';').next().unwrap());
    let (head, ()) = request.body(()).unwrap().into_parts();
    let form = format!("{form}&csrf={}", session.csrf);
    let answer = console.answer((&head, form.as_bytes()), is_secure, Arc::new(endpoint)).await;
    let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    let status = answer.status().as_u16();
    let Body::Whole(page) = answer.into_body() else { panic!("{place} never ends") };
    (status, cookies, String::from_utf8(page.to_vec()).unwrap())
}

#[tokio::test]
async fn cookies_are_secure_where_the_browser_speaks_tls() {
    for place in ["/theme", "/sign-out"] {
        for is_secure in [false, true] {
            let asked = ("POST", place);
            let (status, cookies, _) = answered(asked, "theme=dark", is_secure, States(0)).await;
            assert_eq!((status, cookies.len()), (303, 1), "{place}");
            assert_eq!(cookies[0].ends_with("; Secure"), is_secure, "{place}: {cookies:?}");
        }
    }
}

#[tokio::test]
async fn a_state_that_is_too_large_is_left_to_the_command_line() {
    let rows = [
        ("/state?bucket=b&key=k", 200, "tidelock state show b/k"),
        ("/state?bucket=b&key=k&tab=outputs", 200, "tidelock state show b/k"),
        ("/diff?bucket=b&key=k&old=1&new=2", 400, "tidelock state diff b/k 1 2"),
        ("/rollback?bucket=b&key=k&version=1", 400, "tidelock state rollback b/k --to 1"),
    ];
    for (place, status, command) in rows {
        let larger = States(SERVED_BYTES_MAX + 1);
        let (found, _, page) = answered(("GET", place), "", false, larger).await;
        assert_eq!(found, status, "{place}: {page}");
        for part in ["larger than 16 MiB", command] {
            assert!(page.contains(part), "no {part:?} in {place}: {page}");
        }
    }
    let largest = States(SERVED_BYTES_MAX);
    let (_, _, page) = answered(("GET", rows[0].0), "", false, largest).await;
    assert!(page.contains("Lineage") && !page.contains("larger than"), "{page}");
}

#[test]
fn a_redirect_stays_in_the_console() {
    let rows = [
        ("/_/console", true),
        ("/_/console/", true),
        ("/_/console?bucket=a", true),
        ("/_/console/state?key=a%2Fb", true),
        ("/_/consoles", false),
        ("//evil.test/_/console", false),
        ("https://evil.test", false),
        ("/_/console/\\evil", false),
        ("/_/console/%5cevil", false),
        ("/_/console/..", false),
        ("/_/console/../api/v1/users", false),
        ("/_/console/%2e%2E/tf/a/b", false),
        ("/_/console/.%2e?a=b", false),
        ("/_/console/./state", false),
        ("/_/console/..%2ftf", false),
        ("/_/console/...", true),
        ("/_/console/state?key=../a", true),
        ("/_/console/state?key=%2e%2e/a", true),
        ("/_/console/\r\nset-cookie: a=b", false),
        ("", false),
    ];
    for (place, expected) in rows {
        assert_eq!(is_own_place(place), expected, "{place}");
    }
}
