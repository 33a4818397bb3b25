//! Puts a state in the place of the one there is, under its lock: `terraform state push` without
//! Terraform, and without a change of a byte.

use std::time::Duration;

use bytes::Bytes;
use tidelock_tfstate::{Document, NotAState, State};

use super::{AcquireError, NewLock, StateBody, StateError, Stop, UnderLock};
use crate::{Client, ClientError, ErrorKind, Upload, WriteCondition};

/// What the S3 backend writes states with.
pub(super) const CONTENT_TYPE: (&str, &str) = ("content-type", "application/json");

/// A state to be put.
#[derive(Clone, Debug)]
pub struct NewState {
    bytes: Bytes,
    /// Serial, lineage and versions.
    pub state: State,
}

/// Whether what is there is looked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushCheck {
    /// Another lineage and a lower serial are refused.
    Checked,
    /// Whatever is there is replaced.
    Forced,
}

/// What became of a state that may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is written.
    Written,
    /// The very same bytes are there already.
    Same,
}

/// Why a state was not put.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It never was the same state.
    #[error("the state there has the lineage {current:?}, this one {new:?}: they were never one")]
    Lineage {
        /// Of what is there.
        current: String,
        /// Of what was to be put.
        new: String,
    },
    /// It is older.
    #[error("the state there has serial {current}, which is newer than {new}")]
    Serial {
        /// Of what is there.
        current: u64,
        /// Of what was to be put.
        new: u64,
    },
    /// Two states would have one serial.
    #[error("the state there has serial {0} as well, and is another: raise the serial of this one")]
    SameSerial(u64),
    /// What is there cannot be compared.
    #[error("what is there cannot be compared: {0}")]
    Unknown(StateError),
    /// Somebody wrote it since it was looked at.
    #[error("the state was written since it was looked at: look again")]
    Overtaken,
    /// The endpoint, or the caller, who gave up.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl NewState {
    /// The state in `bytes`.
    ///
    /// # Errors
    /// [`NotAState`]: nothing else is put with this.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, NotAState> {
        let state = State::parse(&bytes)?;
        Ok(Self { bytes: Bytes::from(bytes), state })
    }

    /// As `terraform state push` decides, but for equal serials: Terraform raises the serial of what
    /// it pushes, while here no byte changes.
    fn over(&self, current: &StateBody) -> Result<Pushed, PushError> {
        let (new, old) = (&self.state, &current.state);
        if self.bytes == current.bytes() {
            return Ok(Pushed::Same);
        }
        if is_empty(current.bytes()) {
            return Ok(Pushed::Written);
        }
        if new.lineage != old.lineage {
            let (current, new) = (old.lineage.clone(), new.lineage.clone());
            return Err(PushError::Lineage { current, new });
        }
        match new.serial.cmp(&old.serial) {
            std::cmp::Ordering::Less => {
                Err(PushError::Serial { current: old.serial, new: new.serial })
            }
            std::cmp::Ordering::Equal => Err(PushError::SameSerial(old.serial)),
            std::cmp::Ordering::Greater => Ok(Pushed::Written),
        }
    }
}

/// A state of nothing may be replaced by any: so does Terraform.
fn is_empty(body: &[u8]) -> bool {
    let Ok(document) = Document::parse(body) else { return false };
    let counts = document.summary().counts();
    counts.managed + counts.data + counts.deposed + counts.outputs == 0
}

impl Client {
    /// What [`push_state`](Self::push_state) would do now.
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn check_push(
        &self,
        bucket: &str,
        key: &str,
        new: &NewState,
        check: PushCheck,
    ) -> Result<Pushed, PushError> {
        Ok(self.look_before_push((bucket, key), new, check).await?.0)
    }

    /// The same, and what the write may replace then.
    async fn look_before_push(
        &self,
        (bucket, key): (&str, &str),
        new: &NewState,
        check: PushCheck,
    ) -> Result<(Pushed, WriteCondition), PushError> {
        if check == PushCheck::Forced {
            return Ok((Pushed::Written, WriteCondition::Anything));
        }
        match self.read_state(bucket, key, None).await {
            Ok(current) => {
                let pushed = new.over(&current)?;
                let condition =
                    current.etag.map_or(WriteCondition::Anything, WriteCondition::Object);
                Ok((pushed, condition))
            }
            Err(StateError::Client(error)) if error.kind() == ErrorKind::NotFound => {
                Ok((Pushed::Written, WriteCondition::Nothing))
            }
            Err(StateError::Client(error)) => Err(error.into()),
            Err(error) => Err(PushError::Unknown(error)),
        }
    }

    /// Writes the state under `lock`, for which it waits as long as `wait`.
    ///
    /// # Errors
    /// [`AcquireError`] when the lock was not taken; [`PushError`] is the result under the lock.
    pub async fn push_state(
        &self,
        (bucket, key): (&str, &str),
        (new, check): (&NewState, PushCheck),
        lock: &NewLock,
        wait: Duration,
        stop: Stop<'_>,
    ) -> Result<UnderLock<Result<Pushed, PushError>>, AcquireError> {
        self.with_lock((bucket, key), lock, wait, stop, async |stop| {
            let looked = self.look_before_push((bucket, key), new, check).await?;
            let (verdict, condition) = looked;
            if verdict == Pushed::Written {
                let (name, value) = CONTENT_TYPE;
                let headers = [(name, value.to_owned())];
                let size = Some(new.bytes.len() as u64);
                let upload = Upload { bucket, key, size, headers: &headers, condition: &condition };
                match self.put_state(&upload, &new.bytes, stop).await? {
                    StatePut::Written => {}
                    StatePut::Overtaken => return Err(PushError::Overtaken),
                }
            }
            Ok(verdict)
        })
        .await
    }

    /// Writes a state, unless something came between.
    pub(super) async fn put_state(
        &self,
        upload: &Upload<'_>,
        bytes: &[u8],
        stop: Stop<'_>,
    ) -> Result<StatePut, ClientError> {
        let (mut source, mut moved) = (bytes, |_bytes| {});
        let refusal = match self.put_object(upload, &mut source, &mut moved, stop).await {
            Ok(()) => return Ok(StatePut::Written),
            Err(error) if error.kind() == ErrorKind::Conflict => error,
            Err(error) => return Err(error),
        };
        match self.read_state(upload.bucket, upload.key, None).await {
            // The answer to the first try was lost, and the second met what it had written.
            Ok(current) if current.bytes() == bytes => Ok(StatePut::Written),
            Err(StateError::Client(error)) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) if refusal.is_of_condition() => Ok(StatePut::Overtaken),
            Ok(_) | Err(_) => Err(refusal),
        }
    }
}

/// What became of a write on a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatePut {
    /// It is there.
    Written,
    /// Somebody has written since the state was looked at.
    Overtaken,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(serial: u64, lineage: &str, outputs: &str) -> Vec<u8> {
        format!(
            r#"{{"version":4,"serial":{serial},"lineage":"{lineage}","outputs":{{{outputs}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn only_what_follows_is_put() {
        const OUTPUT: &str = r#""a":{"value":1}"#;
        let current = state(7, "l", OUTPUT);
        let rows = [
            (current.clone(), current.clone(), "Ok(Same)"),
            (state(8, "l", ""), current.clone(), "Ok(Written)"),
            (state(6, "l", OUTPUT), current.clone(), "Err(Serial { current: 7, new: 6 })"),
            (state(7, "l", ""), current.clone(), "Err(SameSerial(7))"),
            (state(9, "m", OUTPUT), current, r#"Err(Lineage { current: "l", new: "m" })"#),
            (state(1, "m", OUTPUT), state(7, "l", ""), "Ok(Written)"),
        ];
        for (new, current, expected) in rows {
            let current = StateBody::in_memory(current).unwrap();
            let found = NewState::parse(new).unwrap().over(&current);
            assert_eq!(format!("{found:?}"), expected);
        }
        NewState::parse(b"{}".to_vec()).unwrap_err();
    }
}
