//! The head of an answer: only what is held against something, or says where the answer ends.

/// What is known of an answer before its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::bench) struct AnswerHead {
    /// Its status.
    pub(in crate::bench) status: u16,
    /// The entity tag, without its quotes.
    pub(in crate::bench) etag: Option<String>,
    /// Whether the object is encrypted with a key of others: its entity tag is no MD5 then.
    pub(in crate::bench) has_foreign_key: bool,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// Whether the endpoint closes the connection after it.
    pub(super) closes: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunks,
    /// With the connection.
    Close,
}

/// Bytes up to the empty line, that one included; none while it has not come.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let line_end = from + bytes.get(from..)?.iter().position(|byte| *byte == b'\n')?;
        if matches!(&bytes[from..line_end], b"" | b"\r") {
            return Some(line_end + 1);
        }
        from = line_end + 1;
    }
}

impl AnswerHead {
    /// From its bytes.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(head).map_err(|_| "a head that is not text")?;
        let mut lines = text.lines();
        let status_line = lines.next().unwrap_or_default();
        let mut words = status_line.split(' ');
        let version = words.next().filter(|version| version.starts_with("HTTP/1."));
        let version = version.ok_or("an answer that is not HTTP/1.1")?;
        let status = words.next().and_then(|status| status.parse().ok()).ok_or("no status")?;
        let is_empty = status < 200 || status == 204 || status == 304;
        let mut answer = Self {
            status,
            etag: None,
            has_foreign_key: false,
            framing: if is_empty { Framing::Length(0) } else { Framing::Close },
            closes: version == "HTTP/1.0",
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or("a header without a value")?;
            answer.note(name, value.trim(), is_empty)?;
        }
        answer.closes |= answer.framing == Framing::Close;
        Ok(answer)
    }

    fn note(&mut self, name: &str, value: &str, is_empty: bool) -> Result<(), &'static str> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("content-length") && !is_empty && self.framing != Framing::Chunks {
            let length = value.parse().map_err(|_| "a length that is no number")?;
            self.framing = Framing::Length(length);
        } else if is("transfer-encoding") && !is_empty {
            self.framing = Framing::Chunks;
        } else if is("etag") {
            self.etag = Some(value.trim_matches('"').to_owned());
        } else if is("connection") {
            self.closes |= value.eq_ignore_ascii_case("close");
        } else if is("x-amz-server-side-encryption") {
            self.has_foreign_key |= value.starts_with("aws:kms");
        } else if is("x-amz-server-side-encryption-customer-algorithm") {
            self.has_foreign_key = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        let rows: &[(&[u8], Option<usize>)] = &[
            (b"", None),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"HTTP/1.1 200 OK\r\n\r\n", Some(19)),
            (b"HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\r\n\r\n", Some(25)),
            (b"HTTP/1.1 200 OK\n\nx", Some(17)),
        ];
        for (bytes, end) in rows {
            assert_eq!(end_of_head(bytes), *end, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn heads_say_where_the_answer_ends() {
        let rows: &[(&str, u16, Framing, bool)] = &[
            ("HTTP/1.1 200 OK\r\nContent-Length: 7", 200, Framing::Length(7), false),
            (
                "HTTP/1.1 200 OK\r\ncontent-length:7\r\nConnection: close",
                200,
                Framing::Length(7),
                true,
            ),
            ("HTTP/1.1 200\r\nTransfer-Encoding: chunked", 200, Framing::Chunks, false),
            ("HTTP/1.1 200 OK\r\nETag: \"x\"", 200, Framing::Close, true),
            ("HTTP/1.1 204 No Content", 204, Framing::Length(0), false),
            ("HTTP/1.0 412 Failed\r\nContent-Length: 0", 412, Framing::Length(0), true),
        ];
        for (head, status, framing, closes) in rows {
            let parsed = AnswerHead::parse(format!("{head}\r\n\r\n").as_bytes()).unwrap();
            assert_eq!(
                (parsed.status, parsed.framing, parsed.closes),
                (*status, *framing, *closes)
            );
        }
        for wrong in [
            "SSH-2.0",
            "HTTP/1.1 ok",
            "HTTP/1.1 200 OK\r\nx",
            "HTTP/1.1 200 OK\r\ncontent-length: x",
        ] {
            assert!(AnswerHead::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_entity_tag_is_an_md5_unless_the_key_is_somebody_elses() {
        let rows = [
            ("", false),
            ("x-amz-server-side-encryption: AES256\r\n", false),
            ("x-amz-server-side-encryption: aws:kms\r\n", true),
            ("X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256\r\n", true),
        ];
        for (header, expected) in rows {
            let head = format!("HTTP/1.1 200 OK\r\n{header}ETag: \"abc\"\r\n\r\n");
            let parsed = AnswerHead::parse(head.as_bytes()).unwrap();
            assert_eq!(parsed.has_foreign_key, expected);
            assert_eq!(parsed.etag.as_deref(), Some("abc"));
        }
    }
}
