//! `/_/api/v1/keyring`: what older keys of the keyring have wrapped, wrapped by the first one. Root only.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tidelock_s3::ResponseBody;
use tidelock_store::{InvalidRewrapCursor, Principal, Rewrap, RewrapMode, RewrapPage, Store};

use super::error::ApiError;
use super::{json, parse};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    after: Option<String>,
    #[serde(default)]
    kms_keys: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Page {
    current: String,
    rewrapped: u64,
    already: u64,
    damaged: u64,
    keys: Vec<KeyUse>,
    next: Option<String>,
}

#[derive(Serialize)]
struct KeyUse {
    name: String,
    wrapped: u64,
    kms: u64,
    defaults: u64,
}

/// Re-wraps one page of rows.
pub(super) async fn rewrap(
    store: &Store,
    actor: &Principal,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let asked: Asked = parse(body)?;
    let after = asked.after.map(|after| after.parse()).transpose();
    let asked = Rewrap {
        after: after
            .map_err(|error: InvalidRewrapCursor| ApiError::malformed(&error.to_string()))?,
        kms_keys: asked.kms_keys,
        mode: if asked.dry_run { RewrapMode::DryRun } else { RewrapMode::Real },
    };
    let page = store.rewrap_keys(actor, &asked).await?;
    Ok(json(StatusCode::OK, &Page::from(page)))
}

impl From<RewrapPage> for Page {
    fn from(page: RewrapPage) -> Self {
        let keys = page.keys.into_iter().map(|(name, used)| KeyUse {
            name,
            wrapped: used.wrapped,
            kms: used.kms,
            defaults: used.defaults,
        });
        Self {
            current: page.current,
            rewrapped: page.rewrapped,
            already: page.already,
            damaged: page.damaged,
            keys: keys.collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }
}
