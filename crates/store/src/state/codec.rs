//! The bytes of an index: numbers in as few bytes as they need (LEB128), and each text once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::StorageError;

/// Bits of a number that one byte carries.
const GROUP_BITS: u32 = 7;

/// Builds a body. Texts are gathered beside it and stand in front of it.
#[derive(Debug, Default)]
pub(super) struct Writer<'a> {
    body: Vec<u8>,
    texts: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Writer<'a> {
    /// The layout, the texts, and what was written.
    pub(super) fn finish(self, layout: u8) -> Vec<u8> {
        let mut front = Writer { body: vec![layout], ..Writer::default() };
        front.number(self.texts.len());
        for text in self.texts {
            front.number(text.len());
            front.raw(text.as_bytes());
        }
        front.raw(&self.body);
        front.body
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.body.push(value);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }

    /// A count, a length or the number of a text.
    pub(super) fn number(&mut self, value: usize) {
        let mut rest = value;
        while rest >> GROUP_BITS != 0 {
            self.u8(rest as u8 | 0x80);
            rest >>= GROUP_BITS;
        }
        self.u8(rest as u8);
    }

    pub(super) fn text(&mut self, text: &'a str) {
        let next = self.texts.len();
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        self.number(number);
    }

    pub(super) fn optional_text(&mut self, text: Option<&'a str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }
}

/// Takes a body apart. Reserves no memory for what a count promises.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    texts: Vec<Arc<str>>,
}

impl<'a> Reader<'a> {
    /// Reads the layout and the texts.
    pub(super) fn begin(layout: u8, bytes: &'a [u8]) -> Result<Self, StorageError> {
        let mut reader = Self { rest: bytes, texts: Vec::new() };
        if reader.u8()? != layout {
            return Err(damaged("unknown layout"));
        }
        for _ in 0..reader.number()? {
            let length = reader.number()?;
            let text =
                std::str::from_utf8(reader.raw(length)?).map_err(|_| damaged("not UTF-8"))?;
            reader.texts.push(Arc::from(text));
        }
        Ok(reader)
    }

    /// Ends the reading: nothing may be left.
    pub(super) fn end(self) -> Result<(), StorageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(damaged("trailing bytes")) }
    }

    pub(super) fn raw(&mut self, length: usize) -> Result<&'a [u8], StorageError> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| damaged("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or_else(|| damaged("cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, StorageError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn flag(&mut self) -> Result<bool, StorageError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(damaged("a flag that is neither 0 nor 1")),
        }
    }

    pub(super) fn number(&mut self) -> Result<usize, StorageError> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += GROUP_BITS;
            if shift > 4 * GROUP_BITS {
                return Err(damaged("a number is too large"));
            }
        }
        usize::try_from(value).map_err(|_| damaged("a number is too large"))
    }

    pub(super) fn text(&mut self) -> Result<Arc<str>, StorageError> {
        let number = self.number()?;
        self.texts.get(number).cloned().ok_or_else(|| damaged("no such text"))
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<Arc<str>>, StorageError> {
        if self.flag()? { self.text().map(Some) } else { Ok(None) }
    }
}

/// Says what is wrong with an index.
pub(super) fn damaged(problem: &str) -> StorageError {
    StorageError::Corrupt(format!("the index of a state: {problem}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(texts: Vec<String>, numbers: Vec<u32>) {
            let mut writer = Writer::default();
            for text in &texts {
                writer.text(text);
                writer.optional_text(Some(text));
                writer.optional_text(None);
            }
            numbers.iter().for_each(|number| writer.number(*number as usize));
            let bytes = writer.finish(7);
            let mut reader = Reader::begin(7, &bytes).unwrap();
            for text in &texts {
                prop_assert_eq!(&*reader.text().unwrap(), text.as_str());
                let optional = reader.optional_text().unwrap();
                prop_assert_eq!(optional.as_deref(), Some(text.as_str()));
                prop_assert_eq!(reader.optional_text().unwrap(), None);
            }
            for number in numbers {
                prop_assert_eq!(reader.number().unwrap(), number as usize);
            }
            reader.end().unwrap();
        }
    }

    #[test]
    fn each_text_is_there_once() {
        let mut writer = Writer::default();
        for _ in 0..100 {
            writer.text("aws_instance");
        }
        assert_eq!(writer.finish(1).len(), 1 + 1 + 1 + "aws_instance".len() + 100);
    }

    #[test]
    fn damage_is_named() {
        let rows: [(&[u8], &str); 6] = [
            (&[], "cut short"),
            (&[2, 0], "unknown layout"),
            (&[1, 1, 2, b'a'], "cut short"),
            (&[1, 1, 1, 0xFF], "not UTF-8"),
            (&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0], "a number is too large"),
            (&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], "cut short"),
        ];
        for (bytes, problem) in rows {
            assert_eq!(Reader::begin(1, bytes).unwrap_err(), damaged(problem), "{bytes:?}");
        }
        let mut reader = Reader::begin(1, &[1, 0, 0, 2]).unwrap();
        assert_eq!(reader.text().unwrap_err(), damaged("no such text"));
        assert_eq!(reader.flag().unwrap_err(), damaged("a flag that is neither 0 nor 1"));
    }
}
