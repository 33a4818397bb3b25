//! Lines on their way to stderr: what is no warning waits for others, a moment at most, so that a request does
//! not cost a system call for its line. Knows no formats.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits at most.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// Bytes that wait at most: whoever has more to say writes them himself.
const WAITING_BYTES_MAX: usize = 256 << 10;

/// Writes lines; a copy writes to the same place.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    came: Condvar,
    /// Locked before `state` is let go, so that lines keep their order.
    out: Mutex<Box<dyn io::Write + Send>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether somebody will write what waits.
    is_looked_after: bool,
    /// Nothing waits any more.
    is_direct: bool,
}

/// Writes what waits, and lets nothing wait from then on, when it is dropped.
pub(super) struct Flush(Lines);

impl Drop for Flush {
    fn drop(&mut self) {
        let mut state = self.0.0.state();
        state.is_direct = true;
        self.0.0.write_all_of(state);
    }
}

/// One line.
pub(super) struct Line<'a> {
    lines: &'a Shared,
    may_wait: bool,
}

impl Lines {
    /// Lines to stderr.
    pub(super) fn to_stderr() -> Self {
        Self::to(Box::new(io::stderr()))
    }

    fn to(out: Box<dyn io::Write + Send>) -> Self {
        let (state, came) = (Mutex::default(), Condvar::new());
        let lines = Self(Arc::new(Shared { state, came, out: Mutex::new(out) }));
        let writer = lines.clone();
        let name = "tidelock-log".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(move || writer.0.look_after());
        // Without a thread each line is written by whoever has it.
        lines.0.state().is_direct = started.is_err();
        lines
    }

    /// What must be kept until the process ends.
    pub(super) fn flush_at_end(&self) -> Flush {
        Flush(self.clone())
    }

    /// Writes what waits, before somebody else writes to the same place.
    pub(super) fn flush(&self) {
        self.0.write_all_of(self.0.state());
    }
}

impl Shared {
    fn push(&self, line: &[u8], may_wait: bool) {
        let mut state = self.state();
        state.waiting.extend_from_slice(line);
        if !may_wait || state.is_direct || state.waiting.len() > WAITING_BYTES_MAX {
            self.write_all_of(state);
        } else if !std::mem::replace(&mut state.is_looked_after, true) {
            drop(state);
            self.came.notify_one();
        }
    }

    fn look_after(&self) {
        let mut state = self.state();
        loop {
            while state.waiting.is_empty() {
                state.is_looked_after = false;
                state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.is_looked_after = true;
            drop(state);
            std::thread::sleep(WAIT_MAX);
            self.write_all_of(self.state());
            state = self.state();
        }
    }

    fn write_all_of(&self, mut state: MutexGuard<'_, State>) {
        let waiting = std::mem::take(&mut state.waiting);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        drop(state);
        // There is nowhere to say that nothing can be said.
        let _ = write_all(&mut **out, &waiting);
        let _ = out.flush();
    }

    /// Each change is whole: a panic elsewhere leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: &self.0, may_wait: false }
    }

    /// Who looks for what went wrong finds it, whatever becomes of the process.
    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        Line { lines: &self.0, may_wait: *of.level() > Level::WARN }
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.push(line, self.may_wait);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of `bytes`, also where another process has told stderr not to wait for its reader.
fn write_all(out: &mut dyn io::Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// Tells of everything that was written.
    struct Told(Sender<Vec<u8>>);

    impl io::Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, Receiver<Vec<u8>>) {
        let (sender, receiver) = mpsc::channel();
        (Lines::to(Box::new(Told(sender))), receiver)
    }

    #[test]
    fn lines_are_written_in_order_and_warnings_at_once() {
        let (lines, written) = lines();
        lines.0.push(b"one\n", true);
        lines.0.push(b"two\n", true);
        lines.0.push(b"three\n", false);
        // It is there when `push` is over, with what was before it.
        let all: Vec<u8> = written.try_iter().flatten().collect();
        assert_eq!(all, b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_reader_that_is_slow_is_waited_for() {
        struct Slow(Vec<u8>, u32);
        impl io::Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 % 3 {
                    0 => Err(io::ErrorKind::WouldBlock.into()),
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    _ => {
                        self.0.extend_from_slice(&bytes[..2]);
                        Ok(2)
                    }
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut out = Slow(Vec::new(), 0);
        write_all(&mut out, b"one\ntwo\n").unwrap();
        assert_eq!(out.0, b"one\ntwo\n");
    }

    #[test]
    fn what_waits_is_written_without_another_line() {
        let (lines, written) = lines();
        for line in [b"one\n", b"two\n"] {
            lines.0.push(line, true);
            assert_eq!(written.recv().unwrap(), line);
        }
    }

    #[test]
    fn too_much_and_the_end_wait_for_nobody() {
        let (lines, written) = lines();
        lines.0.push(&[b'x'; WAITING_BYTES_MAX + 1], true);
        assert!(written.try_iter().map(|bytes| bytes.len()).sum::<usize>() > WAITING_BYTES_MAX);
        lines.0.push(b"last\n", true);
        drop(lines.flush_at_end());
        assert_eq!(written.try_iter().flatten().collect::<Vec<u8>>(), b"last\n");
        lines.0.push(b"after\n", true);
        assert_eq!(written.try_iter().flatten().collect::<Vec<u8>>(), b"after\n");
    }
}
