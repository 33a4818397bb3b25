//! A sealed chunk of a body that travels in the commit of its object.
//!
//! ```text
//! key    04 | body id:16 | chunk:u32
//! value  the sealed chunk (ciphertext and tag), without a layout byte: it has one of its own
//! ```

use super::Tag;
use super::codec::Writer;
use crate::Key;

/// The key of one chunk.
pub fn key(body: [u8; 16], chunk: u32) -> Key {
    let mut writer = Writer::key(Tag::Body);
    writer.raw(&body);
    writer.u32(chunk);
    writer.finish()
}
