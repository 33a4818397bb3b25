//! An event as one line of text, as tracing's own formatter writes it without colours: one line for each request
//! should not take a tenth of its time.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use tidelock_s3::iso8601;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The field that has no name in a line.
const MESSAGE: &str = "message";

/// `2026-11-21T20:35:06.667920Z  INFO message field=1 other="text"`. Knows no spans: there are none.
pub(super) struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        #[expect(
            clippy::disallowed_methods,
            reason = "a line tells when it was written, to the microsecond"
        )]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        write_time(&mut writer, now.unwrap_or_default())?;
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => " ERROR",
            Level::WARN => "  WARN",
            Level::INFO => "  INFO",
            Level::DEBUG => " DEBUG",
            Level::TRACE => " TRACE",
        })?;
        let mut fields = Fields { writer, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        fields.writer.write_char('\n')
    }
}

/// Writes the time that is so long after 1970: `2026-11-21T20:35:06.667920Z`.
fn write_time(writer: &mut impl fmt::Write, since_1970: Duration) -> fmt::Result {
    let millis = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    let to_millis = iso8601(millis);
    writer.write_str(to_millis.strip_suffix('Z').unwrap_or(&to_millis))?;
    write!(writer, "{:03}Z", since_1970.subsec_micros() % 1000)
}

/// Writes fields as they come, the message among them.
struct Fields<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        // Where the line of another library's log came from in its source.
        let is_metadata = field.name().starts_with("log.");
        if self.result.is_ok() && !is_metadata {
            self.result = self.write_pair(field.name(), value);
        }
    }

    fn write_pair(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.writer.write_char(' ')?;
        if name != MESSAGE {
            self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
            self.writer.write_char('=')?;
        }
        value(&mut self.writer)
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            return self.record_debug(field, &format_args!("{value}"));
        }
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        self.write(field, |writer| match value.as_bytes().iter().all(is_plain) {
            true => {
                writer.write_char('"')?;
                writer.write_str(value)?;
                writer.write_char('"')
            }
            false => write!(writer, "{value:?}"),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            return self.write(field, |writer| write!(Controlled(writer), "{value:?}"));
        }
        self.write(field, |writer| write!(writer, "{value:?}"));
    }
}

/// Writes what others have said without what could control a terminal, or begin a line that looks like ours.
struct Controlled<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Controlled<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            for control in part[plain.len()..].chars() {
                write!(self.0, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What `emit` writes, with this formatter or else tracing's own; without the time.
    fn written(is_ours: bool, emit: fn()) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let builder = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_target(false)
            .with_writer(move || Into(Arc::clone(&writer)));
        match is_ours {
            true => tracing::subscriber::with_default(builder.event_format(Text).finish(), emit),
            false => tracing::subscriber::with_default(builder.finish(), emit),
        }
        let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let (_time, line) = lines.split_once(' ').unwrap();
        line.to_owned()
    }

    struct Into(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_those_of_tracing() {
        let rows: [fn(); 9] = [
            || tracing::info!("request"),
            || tracing::warn!(request.id = "7Q2M", status = 200_u16, "a {}", "b"),
            || tracing::error!(bytes = u64::MAX, none = 0_u64, signed = -1, yes = true, "x"),
            || tracing::debug!(text = "a\"b\\c\nd\u{1b}[31m é \u{200b}", "x"),
            || tracing::trace!(key = Option::<&str>::None, other = Some("k"), "x"),
            || tracing::info!(ms = 1.5, whole = 2.0, tiny = 0.001, "x"),
            || tracing::info!(error = %"it \"broke\"", debug = ?Some("a"), r#type = "t"),
            || tracing::info!("red \u{1b}[31m"),
            || tracing::info!(log.target = "rustls", log.line = 7, "of the crate log"),
        ];
        for (index, emit) in rows.into_iter().enumerate() {
            let (ours, theirs) = (written(true, emit), written(false, emit));
            let escapes = |line: &str| line.replace("\\x1b", "\\u{1b}");
            assert_eq!(escapes(&ours), escapes(&theirs), "row {index}");
        }
    }

    #[test]
    fn a_message_is_one_line() {
        let line = written(true, || tracing::error!("one\ntwo\r\n"));
        assert_eq!(line, "ERROR one\\ntwo\\r\\n\n");
    }

    #[test]
    fn times_are_written() {
        let rows = [
            (Duration::ZERO, "1970-01-01T00:00:00.000000Z"),
            (Duration::from_micros(1_795_292_106_667_920), "2026-11-21T20:15:06.667920Z"),
        ];
        for (since, expected) in rows {
            let mut time = String::new();
            write_time(&mut time, since).unwrap();
            assert_eq!(time, expected);
        }
    }
}
