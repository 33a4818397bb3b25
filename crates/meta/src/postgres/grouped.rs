//! Grouping by delimiter in one round trip: the parameters of the loose index scan of `statements.rs`, and
//! its rows as groups. Refuses to know of connections.

use tokio_postgres::{Error, Row};

use super::read::keyed;
use crate::{Group, successor_of_prefix};

/// Where a key is cut.
pub(super) struct Cut<'a> {
    /// Bytes of the key that are not searched.
    pub(super) skip: i32,
    pub(super) delimiter: &'a [u8],
    /// What takes the delimiter's place in the first key after a group.
    pub(super) successor: Vec<u8>,
}

impl<'a> Cut<'a> {
    /// None when the statement cannot do it: there is no delimiter; its last byte has no successor, so that
    /// what follows a group depends on what is before the delimiter; or the numbers are out of range.
    pub(super) fn of(skip: usize, delimiter: &'a [u8]) -> Option<Self> {
        let successor =
            successor_of_prefix(delimiter).filter(|next| next.len() == delimiter.len())?;
        // The statement adds lengths of keys to it.
        let skip = i32::try_from(skip).ok().filter(|skip| *skip < i32::MAX / 2)?;
        Some(Self { skip, delimiter, successor: successor.to_vec() })
    }

    /// A row of the statement, which tells beside it where the delimiter begins.
    pub(super) fn group(&self, row: &Row) -> Result<Group, Error> {
        let first = keyed(row)?;
        let place: i32 = row.try_get(3)?;
        // From 1, after the skipped bytes; 0 if there is none.
        let length = match usize::try_from(place) {
            Ok(place) if place > 0 => self.skip as usize + place - 1 + self.delimiter.len(),
            _ => first.0.len(),
        };
        let prefix = first.0.slice(..length.min(first.0.len()));
        Ok(Group { prefix, is_common_prefix: place > 0, first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_that_the_statement_can_do() {
        let cases: [(&[u8], Option<&[u8]>); 6] = [
            (b"/", Some(b"0")),
            (b"::", Some(b":;")),
            (b"\xFF/", Some(b"\xFF0")),
            (b"", None),
            (b"\xFF", None),
            (b"/\xFF", None),
        ];
        for (delimiter, successor) in cases {
            let cut = Cut::of(7, delimiter);
            assert_eq!(cut.map(|cut| cut.successor).as_deref(), successor, "{delimiter:?}");
        }
        assert!(Cut::of(usize::MAX, b"/").is_none());
    }
}
