//! The table that older S3 backends keep their locks in (`dynamodb_table`). It is only asked.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use tidelock_tfstate::Lock;

use super::holder;
use super::source::SourceError;
use crate::connection::Outgoing;
use crate::{Client, ClientError};

/// The one operation that is asked for (Amazon DynamoDB API Reference, GetItem).
const GET_ITEM: &str = "DynamoDB_20120810.GetItem";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// A DynamoDB table with locks.
#[derive(Debug)]
pub struct LockTable {
    client: Client,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    item: Option<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    info: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    s: String,
}

impl LockTable {
    /// The table `name` of the endpoint of `client`.
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// Who holds the lock called `BUCKET/KEY`. The table has a digest of each state as well; an item is a
    /// lock if it has `Info`.
    pub(super) async fn holder(&self, lock_id: &str) -> Result<Option<String>, SourceError> {
        let failed = |error| SourceError::LockTable(self.name.clone(), error);
        let question = serde_json::json!({
            "TableName": self.name,
            "Key": { "LockID": { "S": lock_id } },
            "ConsistentRead": true,
        });
        let request = Outgoing::new(Method::POST, "/".to_owned())
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-target", GET_ITEM)
            .body(Bytes::from(question.to_string()))
            .of_service("dynamodb")
            .repeatable();
        let document = self.client.document(request).await.map_err(failed)?;
        let info = info_of(&document.body).map_err(failed)?;
        Ok(info.map(|info| {
            let lock = Lock::parse(info.as_bytes()).map(Into::into).unwrap_or_default();
            holder(&lock)
        }))
    }
}

fn info_of(answer: &[u8]) -> Result<Option<String>, ClientError> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    Ok(answer.item.and_then(|item| item.info).map(|info| info.s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_lock_if_it_has_info() {
        let rows = [
            ("{}", Some(None)),
            (r#"{"Item":{"LockID":{"S":"b/k"},"Digest":{"S":"d"}}}"#, Some(None)),
            (r#"{"Item":{"LockID":{"S":"b/k"},"Info":{"S":"{}"}}}"#, Some(Some("{}"))),
            ("<html>", None),
        ];
        for (answer, expected) in rows {
            let found = info_of(answer.as_bytes()).ok();
            assert_eq!(found.as_ref().map(Option::as_deref), expected, "{answer}");
        }
    }
}
