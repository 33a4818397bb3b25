//! CORS: rules kept and refused, preflights, and the headers on answers to pages of other origins.

use super::script::{Row, Step, bucket, get, object, put, row};
use crate::harness::{Ask, Server};

const RULES: &str = "<CORSConfiguration><CORSRule><ID>one</ID><AllowedMethod>GET</AllowedMethod>\
                     <AllowedMethod>PUT</AllowedMethod><AllowedOrigin>https://*.test</AllowedOrigin>\
                     <AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
                     <MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule><CORSRule>\
                     <AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>\
                     </CORSConfiguration>";
const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because \
                           the evalution of Origin, request method / Access-Control-Request-Method \
                           or Access-Control-Request-Headers are not whitelisted by the resource's \
                           CORS spec.";
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

fn put_rules(document: &str) -> Step {
    bucket("PUT").query("cors", "").body(document)
}

fn get_rules() -> Step {
    bucket("GET").query("cors", "")
}

fn asks(step: Step, origin: &str, method: &str) -> Step {
    step.header("origin", origin).header("access-control-request-method", method)
}

/// The headers of the first rule.
fn allowed(step: Step) -> Step {
    step.shows("access-control-allow-origin", "https://a.test")
        .shows("access-control-allow-credentials", "true")
        .shows("access-control-allow-methods", "GET, PUT")
        .shows("access-control-expose-headers", "ETag")
        .shows("access-control-max-age", "3000")
        .shows("vary", VARY)
}

fn without(step: Step) -> Step {
    step.hides("access-control-allow-origin").hides("access-control-allow-methods").hides("vary")
}

fn forbidden(step: Step, message: &str, method: &str, resource: &str) -> Step {
    let step = step.fails(403, "AccessForbidden").has("Message", message);
    without(step.has("Method", method).has("ResourceType", resource))
}

pub(crate) fn rows() -> Vec<Row> {
    let refused = |rules: &str, code: &str| {
        let document = format!("<CORSConfiguration>{rules}</CORSConfiguration>");
        put_rules(&document).fails(400, code)
    };
    let missing =
        || get_rules().fails(404, "NoSuchCORSConfiguration").has("BucketName", "{bucket}");
    let no_origin = "Insufficient information. Origin request header needed.";
    let disabled = "CORSResponse: CORS is not enabled for this bucket.";
    vec![
        row(
            "rules come and go",
            [
                missing(),
                bucket("DELETE").query("cors", "").gives(204),
                put_rules(RULES),
                get_rules().has("ID", "one").has("AllowedOrigin", "https://*.test"),
                put_rules(&RULES.replace("one", "two")),
                get_rules().has("ID", "two").has("MaxAgeSeconds", "3000"),
                bucket("DELETE").query("cors", "").gives(204),
                missing(),
            ],
        ),
        row(
            "rules that are none",
            [
                refused("", "MalformedXML"),
                refused(
                    "<CORSRule><AllowedMethod>MYMETHOD</AllowedMethod><AllowedOrigin>*\
                     </AllowedOrigin></CORSRule>",
                    "InvalidRequest",
                )
                .has(
                    "Message",
                    "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD",
                ),
                missing(),
            ],
        ),
        row(
            "preflights without rules",
            [
                bucket("OPTIONS").fails(400, "BadRequest").has("Message", no_origin),
                forbidden(
                    asks(object("OPTIONS", "k"), "https://a.test", "PUT"),
                    disabled,
                    "PUT",
                    "BUCKET",
                ),
                forbidden(bucket("OPTIONS").header("origin", "x"), disabled, "OPTIONS", "BUCKET"),
            ],
        ),
        row("preflights", preflights(no_origin)),
        row("answers", answers()),
    ]
}

fn preflights(no_origin: &str) -> Vec<Step> {
    let preflight = |origin, method| asks(object("OPTIONS", "k"), origin, method);
    let with_headers = |headers| {
        preflight("https://a.test", "PUT").header("access-control-request-headers", headers)
    };
    let no_method = object("OPTIONS", "k").header("origin", "https://a.test");
    vec![
        put_rules(RULES),
        object("OPTIONS", "k").fails(400, "BadRequest").has("Message", no_origin),
        no_method
            .fails(400, "BadRequest")
            .has("Message", "Invalid Access-Control-Request-Method: null"),
        allowed(preflight("https://a.test", "PUT")).hides("access-control-allow-headers").reads(""),
        allowed(asks(bucket("OPTIONS"), "https://a.test", "GET")),
        allowed(with_headers("X-Amz-Date, x-amz-acl"))
            .shows("access-control-allow-headers", "x-amz-date, x-amz-acl"),
        preflight("https://b.other", "HEAD")
            .shows("access-control-allow-origin", "*")
            .hides("access-control-allow-credentials")
            .hides("access-control-max-age"),
        forbidden(with_headers("content-type"), NOT_ALLOWED, "PUT", "OBJECT"),
        forbidden(preflight("https://b.other", "PUT"), NOT_ALLOWED, "PUT", "OBJECT"),
        forbidden(
            asks(bucket("OPTIONS"), "https://a.test", "DELETE"),
            NOT_ALLOWED,
            "DELETE",
            "BUCKET",
        ),
    ]
}

fn answers() -> Vec<Step> {
    let from = |step: Step| step.header("origin", "https://a.test");
    vec![
        without(from(put("k", "x"))),
        put_rules(RULES),
        without(get("k")).reads("x"),
        allowed(from(get("k"))).reads("x"),
        allowed(from(put("k", "y"))),
        allowed(from(get("none"))).fails(404, "NoSuchKey"),
        allowed(from(bucket("GET"))),
        without(get("k").header("origin", "https://b.other")),
        without(from(object("DELETE", "none"))).gives(204),
        put_rules(&RULES.replace("<AllowedMethod>PUT</AllowedMethod>", "")),
        without(from(put("k", "z"))),
        from(get("k")).shows("access-control-allow-methods", "GET"),
        bucket("DELETE").query("cors", "").gives(204),
        without(from(get("k"))),
    ]
}

#[test]
fn nobody_needs_a_key_to_ask() {
    let server = Server::start(&[]);
    server.make_bucket("asked", "");
    let root = server.root();
    root.send(&Ask::bucket("PUT", "asked").query("cors", "").body(RULES)).expect(200);
    let preflight = |bucket: &str| {
        let ask = Ask::object("OPTIONS", bucket, "k").anonymous();
        ask.header("origin", "https://a.test").header("access-control-request-method", "PUT")
    };
    let allowed = root.send(&preflight("asked")).expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://a.test"));
    let refused = root.send(&preflight("not-there")).expect(403);
    assert_eq!(refused.element("Message").as_deref(), Some("CORSResponse: Bucket not found"));
    // A page must see why it was refused.
    let ask = Ask::object("GET", "asked", "k").anonymous().header("origin", "https://a.test");
    let refused = root.send(&ask).expect(403);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a.test"));
}
