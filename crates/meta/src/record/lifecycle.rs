//! The lifecycle rules of a bucket, as [`super::bucket_document`] keeps them.
//!
//! ```text
//! rules       01 | minimum:u8 | list of rule
//! rule        id:text | enabled:flag | form:u8 | filter | expiration:option | noncurrent:option
//!             | abort:option u32
//! filter      prefix:option text | suffix:option text | tags:pairs | greater:option u64 | less:option u64
//! expiration  0 | days:u32      1 | date_ms:i64      2 | expired delete markers:flag
//! noncurrent  days:u32 | newer:option u32
//! ```

use bytes::Bytes;

use super::DecodeError;
use super::codec::{Reader, Writer};

const RECORD: &str = "lifecycle";
const LAYOUT: u8 = 1;

/// The rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// In the order they were sent.
    pub rules: Vec<LifecycleRule>,
    /// What was said of small objects.
    pub minimum: TransitionMinimum,
}

/// Which objects are too small for transitions. There are none here, so it is only given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransitionMinimum {
    /// `all_storage_classes_128K`
    #[default]
    AllStorageClasses128K,
    /// `varies_by_storage_class`
    VariesByStorageClass,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its name.
    pub id: String,
    /// Whether it is followed.
    pub enabled: bool,
    /// How its filter was written, to be given back so.
    pub form: FilterForm,
    /// Which objects it is about.
    pub filter: LifecycleFilter,
    /// What becomes of current versions.
    pub expiration: Option<Expiration>,
    /// What becomes of noncurrent versions.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// After how many days multipart uploads that were not completed are aborted.
    pub abort_uploads_days: Option<u32>,
}

/// The three ways to write a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterForm {
    /// A `Prefix` in the rule itself.
    Prefix,
    /// A `Filter` with one condition or none.
    Filter,
    /// A `Filter` with `And`.
    And,
}

/// Which objects a rule is about: those that all conditions hold for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifecycleFilter {
    /// What the key begins with.
    pub prefix: Option<String>,
    /// What the key ends with.
    pub suffix: Option<String>,
    /// Tags that the object has.
    pub tags: Vec<(String, String)>,
    /// The object is larger than this many bytes.
    pub larger_than: Option<u64>,
    /// The object is smaller than this many bytes.
    pub smaller_than: Option<u64>,
}

/// When a current version expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiration {
    /// So many days after it was written.
    Days(u32),
    /// From this moment on, in milliseconds since 1970.
    Date(i64),
    /// Only a delete marker does, if this is set, when nothing is behind it any more.
    ExpiredObjectDeleteMarker(bool),
}

/// When noncurrent versions expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoncurrentExpiration {
    /// So many days after they ceased to be current.
    pub days: u32,
    /// But for the newest so many.
    pub newer: Option<u32>,
}

impl Lifecycle {
    /// The content of the document.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.u8(match self.minimum {
            TransitionMinimum::AllStorageClasses128K => 0,
            TransitionMinimum::VariesByStorageClass => 1,
        });
        writer.list(&self.rules, |writer, rule| rule.write(writer));
        writer.finish()
    }

    /// The rules in the content of a document.
    ///
    /// # Errors
    ///
    /// When the bytes are no rules.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let minimum = match reader.u8()? {
            0 => TransitionMinimum::AllStorageClasses128K,
            1 => TransitionMinimum::VariesByStorageClass,
            _ => return Err(reader.error("unknown transition minimum")),
        };
        let rules = reader.list(LifecycleRule::read)?;
        reader.end()?;
        Ok(Self { rules, minimum })
    }
}

impl LifecycleRule {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.id);
        writer.flag(self.enabled);
        writer.u8(match self.form {
            FilterForm::Prefix => 0,
            FilterForm::Filter => 1,
            FilterForm::And => 2,
        });
        self.filter.write(writer);
        writer.option(self.expiration.as_ref(), |writer, expiration| expiration.write(writer));
        writer.option(self.noncurrent.as_ref(), |writer, noncurrent| {
            writer.u32(noncurrent.days);
            writer.option(noncurrent.newer.as_ref(), |writer, newer| writer.u32(*newer));
        });
        writer.option(self.abort_uploads_days.as_ref(), |writer, days| writer.u32(*days));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: reader.text()?,
            enabled: reader.flag()?,
            form: match reader.u8()? {
                0 => FilterForm::Prefix,
                1 => FilterForm::Filter,
                2 => FilterForm::And,
                _ => return Err(reader.error("unknown filter form")),
            },
            filter: LifecycleFilter::read(reader)?,
            expiration: reader.option(Expiration::read)?,
            noncurrent: reader.option(|reader| {
                Ok(NoncurrentExpiration { days: reader.u32()?, newer: reader.option(Reader::u32)? })
            })?,
            abort_uploads_days: reader.option(Reader::u32)?,
        })
    }
}

impl LifecycleFilter {
    fn write(&self, writer: &mut Writer) {
        for text in [&self.prefix, &self.suffix] {
            writer.option(text.as_ref(), |writer, text| writer.text(text));
        }
        writer.pairs(&self.tags);
        for size in [&self.larger_than, &self.smaller_than] {
            writer.option(size.as_ref(), |writer, size| writer.u64(*size));
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            prefix: reader.option(Reader::text)?,
            suffix: reader.option(Reader::text)?,
            tags: reader.pairs()?,
            larger_than: reader.option(Reader::u64)?,
            smaller_than: reader.option(Reader::u64)?,
        })
    }
}

impl Expiration {
    fn write(self, writer: &mut Writer) {
        match self {
            Self::Days(days) => {
                writer.u8(0);
                writer.u32(days);
            }
            Self::Date(date_ms) => {
                writer.u8(1);
                writer.i64(date_ms);
            }
            Self::ExpiredObjectDeleteMarker(expires) => {
                writer.u8(2);
                writer.flag(expires);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Days(reader.u32()?),
            1 => Self::Date(reader.i64()?),
            2 => Self::ExpiredObjectDeleteMarker(reader.flag()?),
            _ => return Err(reader.error("unknown expiration")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule() -> impl Strategy<Value = LifecycleRule> {
        let form =
            prop_oneof![Just(FilterForm::Prefix), Just(FilterForm::Filter), Just(FilterForm::And)];
        let expiration = prop_oneof![
            any::<u32>().prop_map(Expiration::Days),
            any::<i64>().prop_map(Expiration::Date),
            any::<bool>().prop_map(Expiration::ExpiredObjectDeleteMarker),
        ];
        let noncurrent = any::<(u32, Option<u32>)>()
            .prop_map(|(days, newer)| NoncurrentExpiration { days, newer });
        let filter = (
            any::<[Option<String>; 2]>(),
            proptest::collection::vec(any::<(String, String)>(), 0..3),
            any::<[Option<u64>; 2]>(),
        )
            .prop_map(|([prefix, suffix], tags, [larger_than, smaller_than])| {
                LifecycleFilter { prefix, suffix, tags, larger_than, smaller_than }
            });
        let options = (proptest::option::of(expiration), proptest::option::of(noncurrent));
        (any::<(String, bool, Option<u32>)>(), form, filter, options).prop_map(
            |((id, enabled, abort_uploads_days), form, filter, (expiration, noncurrent))| {
                LifecycleRule {
                    id,
                    enabled,
                    form,
                    filter,
                    expiration,
                    noncurrent,
                    abort_uploads_days,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn rules_come_back(rules in proptest::collection::vec(rule(), 0..4), varies: bool) {
            let minimum = match varies {
                true => TransitionMinimum::VariesByStorageClass,
                false => TransitionMinimum::AllStorageClasses128K,
            };
            let lifecycle = Lifecycle { rules, minimum };
            prop_assert_eq!(Lifecycle::decode(&lifecycle.encode()).unwrap(), lifecycle);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Lifecycle::decode(&bytes);
        }
    }
}
