//! The index of a state: every instance and output by name, with a digest that tells two of them
//! apart. Never a value.
//!
//! ```text
//! body      01 | list of text | list of resource | list of output
//! text      length:number | UTF-8
//! resource  module:option ref | mode | type:ref | name:ref | provider:ref | list of instance
//! mode      0 managed      1 data      2 another | ref
//! instance  index | deposed:option ref | tainted:flag | digest:16
//! index     0 none      1 of count | i64      2 of for_each | ref
//! output    name:ref | sensitive:flag | digest:16
//! ```
//! A number is LEB128 of at most 35 bits, a ref the number of a text, a list its count and then its
//! members. A digest is the first 16 bytes of SHA-256 over the instance's JSON object as it stands in
//! the body, or over the output's value. It says something of what it is taken over, so an index is
//! sealed like the body it is of.

use std::sync::Arc;

use tidelock_tfstate::{Index as InstanceKey, Mode, resource_address};

use super::codec::{Reader, Writer, damaged};
use crate::error::StorageError;

const LAYOUT: u8 = 1;

/// Largest index that is read. That of the largest body that gets one is smaller.
pub(crate) const INDEX_BYTES_MAX: u64 = 32 << 20;

/// First bytes of a SHA-256.
pub(super) type ShortDigest = [u8; 16];

/// What a state holds, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(super) resources: Vec<IndexedResource>,
    pub(super) outputs: Vec<IndexedOutput>,
}

/// A resource block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexedResource {
    pub(super) module: Option<Arc<str>>,
    pub(super) mode: Mode,
    pub(super) type_name: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) instances: Vec<IndexedInstance>,
}

/// An instance, or an object that waits to be destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexedInstance {
    pub(super) key: InstanceKey,
    pub(super) deposed: Option<Arc<str>>,
    pub(super) tainted: bool,
    pub(super) digest: ShortDigest,
}

/// An output of the root module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexedOutput {
    pub(super) name: Arc<str>,
    pub(super) sensitive: bool,
    pub(super) digest: ShortDigest,
}

impl Index {
    /// As it is sealed.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(self.resources.len());
        for resource in &self.resources {
            resource.write(&mut writer);
        }
        writer.number(self.outputs.len());
        for output in &self.outputs {
            writer.text(&output.name);
            writer.u8(u8::from(output.sensitive));
            writer.raw(&output.digest);
        }
        writer.finish(LAYOUT)
    }

    /// From what was sealed.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut reader = Reader::begin(LAYOUT, bytes)?;
        let mut index = Self::default();
        for _ in 0..reader.number()? {
            index.resources.push(IndexedResource::read(&mut reader)?);
        }
        for _ in 0..reader.number()? {
            let (name, sensitive) = (reader.text()?, reader.flag()?);
            index.outputs.push(IndexedOutput { name, sensitive, digest: reader.array()? });
        }
        reader.end()?;
        Ok(index)
    }
}

impl IndexedResource {
    /// `module.net["eu"].data.aws_ami.ubuntu`
    pub(super) fn address(&self) -> String {
        resource_address(self.module.as_deref(), &self.mode, &self.type_name, &self.name)
    }

    fn write<'a>(&'a self, writer: &mut Writer<'a>) {
        writer.optional_text(self.module.as_deref());
        match &self.mode {
            Mode::Managed => writer.u8(0),
            Mode::Data => writer.u8(1),
            Mode::Other(mode) => {
                writer.u8(2);
                writer.text(mode);
            }
        }
        for text in [&self.type_name, &self.name, &self.provider] {
            writer.text(text);
        }
        writer.number(self.instances.len());
        for instance in &self.instances {
            instance.write(writer);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, StorageError> {
        let mut resource = Self {
            module: reader.optional_text()?,
            mode: match reader.u8()? {
                0 => Mode::Managed,
                1 => Mode::Data,
                2 => Mode::Other(reader.text()?.as_ref().to_owned()),
                _ => return Err(damaged("unknown mode")),
            },
            type_name: reader.text()?,
            name: reader.text()?,
            provider: reader.text()?,
            instances: Vec::new(),
        };
        for _ in 0..reader.number()? {
            resource.instances.push(IndexedInstance::read(reader)?);
        }
        Ok(resource)
    }
}

impl IndexedInstance {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) {
        match &self.key {
            InstanceKey::None => writer.u8(0),
            InstanceKey::Number(number) => {
                writer.u8(1);
                writer.raw(&number.to_be_bytes());
            }
            InstanceKey::Key(key) => {
                writer.u8(2);
                writer.text(key);
            }
        }
        writer.optional_text(self.deposed.as_deref());
        writer.u8(u8::from(self.tainted));
        writer.raw(&self.digest);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, StorageError> {
        Ok(Self {
            key: match reader.u8()? {
                0 => InstanceKey::None,
                1 => InstanceKey::Number(i64::from_be_bytes(reader.array()?)),
                2 => InstanceKey::Key(reader.text()?.as_ref().to_owned()),
                _ => return Err(damaged("unknown kind of instance key")),
            },
            deposed: reader.optional_text()?,
            tainted: reader.flag()?,
            digest: reader.array()?,
        })
    }
}

/// Arbitrary indexes, for properties.
#[cfg(test)]
pub(super) mod arbitrary {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Arc<str>> {
        any::<String>().prop_map(Arc::from)
    }

    fn instance() -> impl Strategy<Value = IndexedInstance> {
        let key = prop_oneof![
            Just(InstanceKey::None),
            any::<i64>().prop_map(InstanceKey::Number),
            any::<String>().prop_map(InstanceKey::Key),
        ];
        (key, proptest::option::of(text()), any::<(bool, ShortDigest)>()).prop_map(
            |(key, deposed, (tainted, digest))| IndexedInstance { key, deposed, tainted, digest },
        )
    }

    fn resource() -> impl Strategy<Value = IndexedResource> {
        let mode = prop_oneof![
            Just(Mode::Managed),
            Just(Mode::Data),
            any::<String>().prop_map(Mode::Other),
        ];
        let module = proptest::option::of(text());
        (module, mode, (text(), text(), text()), vec(instance(), 0..4)).prop_map(
            |(module, mode, (type_name, name, provider), instances)| IndexedResource {
                module,
                mode,
                type_name,
                name,
                provider,
                instances,
            },
        )
    }

    fn output() -> impl Strategy<Value = IndexedOutput> {
        (text(), any::<(bool, ShortDigest)>())
            .prop_map(|(name, (sensitive, digest))| IndexedOutput { name, sensitive, digest })
    }

    pub(crate) fn index() -> impl Strategy<Value = Index> {
        (vec(resource(), 0..4), vec(output(), 0..3))
            .prop_map(|(resources, outputs)| Index { resources, outputs })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn indexes_come_back(index in arbitrary::index()) {
            prop_assert_eq!(Index::decode(&index.encode()).unwrap(), index);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Index::decode(&bytes);
            let _ = Index::decode(&[&[LAYOUT], bytes.as_slice()].concat());
        }

        #[test]
        fn no_damage_makes_it_panic(index in arbitrary::index(), at: usize, byte: u8) {
            let mut bytes = index.encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Index::decode(&bytes);
            let _ = Index::decode(&bytes[..at]);
        }
    }
}
