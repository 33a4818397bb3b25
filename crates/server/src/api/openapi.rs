//! `/_/api/v1/openapi.json`: the API as OpenAPI 3.1 describes it, made of the table that routes it.
//!
//! <https://spec.openapis.org/oas/v3.1.0>. `docs/openapi.json` is the same.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tidelock_s3::ResponseBody;

use super::route::{Document, Operation, ROUTES, Route};
use super::schema::{SCHEMAS, reference};
use super::{PREFIX, json_bytes};

/// Of the form of the API, not of the program.
const VERSION: &str = "1";
const DESCRIPTION: &str = "What S3 has no words for: users, their keys and groups, states and their \
                           guard, the audit log, webhooks, the keyring.";

/// It needs no signature: made once, it costs whoever asks more than the server.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

pub(super) fn answer() -> Response<ResponseBody> {
    json_bytes(StatusCode::OK, DOCUMENT.clone())
}

/// The whole description.
pub(super) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = format!("{PREFIX}{}", route.path.replace("...}", "}"));
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[route.verb.as_str().to_ascii_lowercase()] = operation(route);
    }
    let schemas: Map<String, Value> =
        SCHEMAS.iter().map(|schema| (schema.name.to_owned(), schema.to_json())).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidelock",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "sigv4": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "sigv4": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "AWS Signature Version 4 for the service s3, body included.",
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let answer = match content(route.answer) {
        Some(content) => json!({ "description": "Done", "content": content }),
        None => json!({ "description": "Done" }),
    };
    let mut operation = json!({
        "operationId": route.operation.as_str(),
        "summary": route.operation.summary(),
        "parameters": parameters(route),
        "responses": {
            (route.status.as_str()): answer,
            "default": {
                "description": "An error",
                "content": { "application/json": { "schema": reference("Error") } },
            },
        },
    });
    if let Some(content) = content(route.request) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if route.operation == Operation::Describe {
        operation["security"] = json!([]);
    }
    operation
}

fn content(document: Document) -> Option<Value> {
    match document {
        Document::Nothing => None,
        Document::Json(name) => Some(json!({ "application/json": { "schema": reference(name) } })),
        Document::AnyJson => Some(json!({ "application/json": {} })),
        Document::Bytes => Some(json!({ "application/octet-stream": {} })),
    }
}

fn parameters(route: &Route) -> Value {
    let text = json!({ "type": "string" });
    let of_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let (name, rest) = match name.strip_suffix("...") {
            Some(name) => (name, "All of the rest of the path, percent-encoded; it may hold /."),
            None => (name, "Percent-encoded."),
        };
        Some(json!({
            "name": name, "in": "path", "required": true, "description": rest, "schema": text,
        }))
    });
    let of_query = route.query.iter().map(|(name, required)| {
        json!({ "name": name, "in": "query", "required": required, "schema": text })
    });
    Value::Array(of_path.chain(of_query).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set to write the file instead of comparing it.
    const WRITE_VARIABLE: &str = "TIDELOCK_WRITE_OPENAPI";
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    #[test]
    fn the_file_in_docs_is_up_to_date() {
        let described = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os(WRITE_VARIABLE).is_some() {
            std::fs::write(FILE, &described).unwrap();
        }
        let kept = std::fs::read_to_string(FILE).unwrap();
        assert!(
            kept == described,
            "docs/openapi.json is not what the code says: run this test with {WRITE_VARIABLE}=1"
        );
    }

    #[test]
    fn every_document_is_described_and_every_description_used() {
        let text = document().to_string();
        for schema in SCHEMAS {
            let used = format!("\"#/components/schemas/{}\"", schema.name);
            assert!(text.contains(&used), "{} is used nowhere", schema.name);
        }
        for route in ROUTES {
            for document in [route.request, route.answer] {
                if let Document::Json(name) = document {
                    assert!(SCHEMAS.iter().any(|schema| schema.name == name), "{name}");
                }
            }
        }
    }
}
