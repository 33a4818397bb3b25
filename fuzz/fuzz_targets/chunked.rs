//! Any `aws-chunked` body: decoding never panics, pieces make no difference, and a byte that was changed in a
//! signed one is noticed or means nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The first line is `plain BYTES [TRAILER]...` or `signed CHUNK_BYTES PLACE BYTE [trailer]`; then comes the
// body as it travels, or the data to sign.
fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let Ok(line) = std::str::from_utf8(&input[..end]) else { return };
    let body = input.get(end + 1..).unwrap_or_default();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        ["plain", bytes, trailer @ ..] => {
            let Ok(bytes) = bytes.parse() else { return };
            let trailer: Vec<_> = trailer.iter().map(|name| name.to_ascii_lowercase()).collect();
            tidelock_s3::fuzz::chunked(bytes, &trailer, body);
        }
        ["signed", chunk_bytes, place, byte, rest @ ..] => {
            let (Ok(chunk_bytes), Ok(place), Ok(byte)) =
                (chunk_bytes.parse(), place.parse(), byte.parse())
            else {
                return;
            };
            let has_trailer = rest == ["trailer"];
            tidelock_s3::fuzz::chunked_signed(body, chunk_bytes, has_trailer, (place, byte));
        }
        _ => {}
    }
});
