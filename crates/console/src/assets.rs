//! The stylesheet and the script, named by what is in them, so that browsers may keep them.

use std::sync::LazyLock;

use http::Response;
use ring::digest::{SHA256, digest};

use crate::PREFIX;
use crate::answer::{self, Body};

/// Where they are, below [`PREFIX`].
pub(crate) const DIRECTORY: &str = "/assets/";
/// Bytes of the hash in a name.
const HASH_BYTES: usize = 8;

struct Asset {
    path: String,
    media_type: &'static str,
    text: &'static str,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("css", "text/css; charset=utf-8", include_str!("../assets/console.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});

impl Asset {
    fn new(extension: &str, media_type: &'static str, text: &'static str) -> Self {
        let hash = hex::encode(&digest(&SHA256, text.as_bytes()).as_ref()[..HASH_BYTES]);
        Self { path: format!("{PREFIX}{DIRECTORY}console-{hash}.{extension}"), media_type, text }
    }
}

/// Path of the stylesheet.
pub(crate) fn style_path() -> &'static str {
    &STYLE.path
}

/// Path of the script.
pub(crate) fn script_path() -> &'static str {
    &SCRIPT.path
}

/// The file at `path`, below [`PREFIX`].
pub(crate) fn answer(path: &str) -> Option<Response<Body>> {
    let asset = [&STYLE, &SCRIPT].into_iter().find(|it| it.path.strip_prefix(PREFIX) == Some(path));
    asset.map(|asset| answer::file(asset.media_type, asset.text))
}
