//! How records become bytes: explicit widths, length-prefixed strings, no self-description.
//!
//! A reader never trusts a length: bytes that end early or go on too long are a [`DecodeError`],
//! not a panic.

use bytes::Bytes;

/// Stored bytes that are not the record they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {record}: {problem}")]
pub struct DecodeError {
    /// Which record.
    pub record: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl From<DecodeError> for crate::MetaError {
    fn from(error: DecodeError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// A key of common length fits without growing the buffer.
const KEY_BYTES_TYPICAL: usize = 96;

/// So does a value.
const VALUE_BYTES_TYPICAL: usize = 384;

/// Builds a key or a value.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A key of the record that `tag` names.
    pub(crate) fn key(tag: super::Tag) -> Self {
        Self::beginning_with(tag as u8, KEY_BYTES_TYPICAL)
    }

    /// A value whose layout is `layout`.
    pub(crate) fn value(layout: u8) -> Self {
        Self::beginning_with(layout, VALUE_BYTES_TYPICAL)
    }

    /// Bytes that begin with nothing of their own, for which there is room.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    fn beginning_with(first: u8, bytes: usize) -> Self {
        let mut writer = Self::with_capacity(bytes);
        writer.u8(first);
        writer
    }

    /// The finished bytes.
    pub(crate) fn finish(self) -> Bytes {
        Bytes::from(self.0)
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes behind their length (u32).
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
        for value in values {
            write(self, value);
        }
    }

    pub(crate) fn pairs(&mut self, pairs: &[(String, String)]) {
        self.list(pairs, |writer, (name, value)| {
            writer.text(name);
            writer.text(value);
        });
    }

    /// A string that other parts of the key follow: 00 becomes 00 FF, the end is 00 00. Sorts as the
    /// plain bytes do.
    pub(crate) fn escaped(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.u8(*byte);
            if *byte == 0 {
                self.u8(0xFF);
            }
        }
        self.raw(&[0, 0]);
    }
}

/// Takes a key or a value apart.
#[derive(Debug)]
pub struct Reader<'a> {
    record: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads a key of the record that `tag` names.
    pub(crate) fn key(
        record: &'static str,
        tag: super::Tag,
        bytes: &'a [u8],
    ) -> Result<Self, DecodeError> {
        Self::begin(record, tag as u8, bytes)
    }

    /// Reads a value of the layout `layout`.
    pub(crate) fn value(
        record: &'static str,
        layout: u8,
        bytes: &'a [u8],
    ) -> Result<Self, DecodeError> {
        Self::begin(record, layout, bytes)
    }

    /// Reads bytes that begin with nothing of their own: a part of a value.
    pub(crate) fn over(record: &'static str, bytes: &'a [u8]) -> Self {
        Self { record, rest: bytes }
    }

    fn begin(record: &'static str, first: u8, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            Some((byte, rest)) if *byte == first => Ok(Self { record, rest }),
            Some(_) => Err(DecodeError { record, problem: "unknown first byte" }),
            None => Err(DecodeError { record, problem: "empty" }),
        }
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("trailing bytes")) }
    }

    pub(crate) fn error(&self, problem: &'static str) -> DecodeError {
        DecodeError { record: self.record, problem }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| self.error("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| self.error("cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error("a flag that is neither 0 nor 1")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()? as usize;
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, DecodeError> {
        let bytes = self.bytes()?;
        self.text_of(bytes)
    }

    /// All that is left, which is a text.
    pub(crate) fn rest_text(&mut self) -> Result<String, DecodeError> {
        let bytes = self.rest();
        self.text_of(bytes)
    }

    fn text_of(&self, bytes: &[u8]) -> Result<String, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.error("not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u32()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }

    pub(crate) fn pairs(&mut self) -> Result<Vec<(String, String)>, DecodeError> {
        self.list(|reader| Ok((reader.text()?, reader.text()?)))
    }

    /// Passes over what [`Self::pairs`] would read.
    pub(crate) fn skip_pairs(&mut self) -> Result<(), DecodeError> {
        for _ in 0..self.u32()? {
            self.bytes()?;
            self.bytes()?;
        }
        Ok(())
    }

    /// The reverse of [`Writer::escaped`].
    pub(crate) fn escaped(&mut self) -> Result<Vec<u8>, DecodeError> {
        let mut bytes = Vec::new();
        loop {
            match self.u8()? {
                0 => match self.u8()? {
                    0 => return Ok(bytes),
                    0xFF => bytes.push(0),
                    _ => return Err(self.error("bad escape")),
                },
                byte => bytes.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Tag;
    use super::*;

    fn escape(bytes: &[u8]) -> Bytes {
        let mut writer = Writer::key(Tag::Version);
        writer.escaped(bytes);
        writer.finish()
    }

    proptest! {
        #[test]
        fn escaped_strings_come_back(bytes: Vec<u8>) {
            let key = escape(&bytes);
            let mut reader = Reader::key("test", Tag::Version, &key).unwrap();
            prop_assert_eq!(reader.escaped().unwrap(), bytes);
            reader.end().unwrap();
        }

        #[test]
        fn escaped_strings_sort_as_plain_ones(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(escape(&a).cmp(&escape(&b)), a.cmp(&b));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
            if let Ok(mut reader) = Reader::value("test", 1, &bytes) {
                let _ = reader.pairs();
                let _ = reader.escaped();
                let _ = reader.option(Reader::text);
            }
        }
    }
}
