//! What is known of a version that is a Terraform state. Sealed, and kept with the version.
//!
//! ```text
//! value  01 | serial:u64 | lineage:text | sha256:32 | format_version:option u64 | terraform_version:option text
//!           | counts:option (7 x u32) | changes:option (3 x u32) | list of changed address:text
//!           | run:run | lock:option (id:text operation:text) | rolled_back_from:option version:16
//! ```
//! `format_version` is none where the client has encrypted the state, and then there are no counts.

use bytes::Bytes;

use super::DecodeError;
use super::codec::{Reader, Writer};
use super::run::Run;
use super::version::VersionId;

const RECORD: &str = "state facts";
const LAYOUT: u8 = 1;

/// What a state holds, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Current instances of managed resources.
    pub managed: u32,
    /// Instances of data sources.
    pub data: u32,
    /// Objects that wait to be destroyed.
    pub deposed: u32,
    /// Instances marked to be replaced.
    pub tainted: u32,
    /// Outputs of the root module.
    pub outputs: u32,
    /// Of these, the sensitive ones.
    pub sensitive_outputs: u32,
    /// Checks that failed or could not be evaluated.
    pub failed_checks: u32,
}

/// How many instances are new, changed or gone against the version before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// New.
    pub added: u32,
    /// Different.
    pub changed: u32,
    /// Gone.
    pub removed: u32,
}

/// The lock under which a state was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenUnder {
    /// Its ID.
    pub id: String,
    /// The word of the command: `OperationTypeApply`.
    pub operation: String,
}

/// What is known of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFacts {
    /// Rises with every change.
    pub serial: u64,
    /// Names the state through all its serials.
    pub lineage: String,
    /// Of the body.
    pub sha256: [u8; 32],
    /// The top-level `version`; none where the client has encrypted the state.
    pub format_version: Option<u64>,
    /// The program that wrote it.
    pub terraform_version: Option<String>,
    /// None where the content could not be read.
    pub counts: Option<StateCounts>,
    /// None where there is nothing to compare with.
    pub changes: Option<StateChanges>,
    /// The addresses of the first of the changes.
    pub changed: Vec<String>,
    /// Who wrote it.
    pub run: Run,
    /// Under which lock.
    pub lock: Option<WrittenUnder>,
    /// The version whose bytes these are, but for the serial.
    pub rolled_back_from: Option<VersionId>,
}

impl StateFacts {
    /// As it is sealed.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.u64(self.serial);
        writer.text(&self.lineage);
        writer.raw(&self.sha256);
        writer.option(self.format_version.as_ref(), |writer, version| writer.u64(*version));
        writer.option(self.terraform_version.as_ref(), |writer, version| writer.text(version));
        writer.option(self.counts.as_ref(), |writer, counts| {
            counts.numbers().into_iter().for_each(|number| writer.u32(number));
        });
        writer.option(self.changes.as_ref(), |writer, changes| {
            let StateChanges { added, changed, removed } = *changes;
            [added, changed, removed].into_iter().for_each(|number| writer.u32(number));
        });
        writer.list(&self.changed, |writer, address| writer.text(address));
        self.run.write(&mut writer);
        writer.option(self.lock.as_ref(), |writer, lock| {
            writer.text(&lock.id);
            writer.text(&lock.operation);
        });
        writer.option(self.rolled_back_from.as_ref(), |writer, id| id.write(writer));
        writer.finish()
    }

    /// From what was sealed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let facts = Self {
            serial: reader.u64()?,
            lineage: reader.text()?,
            sha256: reader.array()?,
            format_version: reader.option(Reader::u64)?,
            terraform_version: reader.option(Reader::text)?,
            counts: reader.option(StateCounts::read)?,
            changes: reader.option(|reader| {
                let (added, changed, removed) = (reader.u32()?, reader.u32()?, reader.u32()?);
                Ok(StateChanges { added, changed, removed })
            })?,
            changed: reader.list(Reader::text)?,
            run: Run::read(&mut reader)?,
            lock: reader.option(|reader| {
                Ok(WrittenUnder { id: reader.text()?, operation: reader.text()? })
            })?,
            rolled_back_from: reader.option(VersionId::read)?,
        };
        reader.end()?;
        Ok(facts)
    }
}

impl StateCounts {
    fn numbers(self) -> [u32; 7] {
        let Self { managed, data, deposed, tainted, outputs, sensitive_outputs, failed_checks } =
            self;
        [managed, data, deposed, tainted, outputs, sensitive_outputs, failed_checks]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            managed: reader.u32()?,
            data: reader.u32()?,
            deposed: reader.u32()?,
            tainted: reader.u32()?,
            outputs: reader.u32()?,
            sensitive_outputs: reader.u32()?,
            failed_checks: reader.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::run::arbitrary;
    use super::*;

    fn facts() -> impl Strategy<Value = StateFacts> {
        let texts = any::<(String, Option<String>, Vec<String>, Option<(String, String)>)>();
        let numbers = any::<(u64, [u8; 32], Option<u64>, Option<[u32; 7]>, Option<[u32; 3]>)>();
        (texts, numbers, any::<Option<(u64, u64)>>(), arbitrary::run()).prop_map(
            |((lineage, terraform_version, changed, lock), numbers, from, run)| {
                let (serial, sha256, format_version, counts, changes) = numbers;
                let counts = counts.map(|[managed, data, deposed, tainted, outputs, so, fc]| {
                    let (sensitive_outputs, failed_checks) = (so, fc);
                    StateCounts {
                        managed,
                        data,
                        deposed,
                        tainted,
                        outputs,
                        sensitive_outputs,
                        failed_checks,
                    }
                });
                StateFacts {
                    serial,
                    lineage,
                    sha256,
                    format_version,
                    terraform_version,
                    counts,
                    changes: changes.map(|[added, changed, removed]| StateChanges {
                        added,
                        changed,
                        removed,
                    }),
                    changed,
                    run,
                    lock: lock.map(|(id, operation)| WrittenUnder { id, operation }),
                    rolled_back_from: from.map(|(sequence, random)| VersionId { sequence, random }),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn facts_come_back(facts in facts()) {
            prop_assert_eq!(StateFacts::decode(&facts.encode()).unwrap(), facts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = StateFacts::decode(&bytes);
        }
    }
}
