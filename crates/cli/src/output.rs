//! The one place that writes to stdout: data, in the form that was asked for.
//!
//! Remarks go to stderr, so that a pipe never has to sort them out.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::exit::Failure;

/// `-o`
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// A bordered table.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line, written as it comes.
    Jsonl,
    /// One YAML document.
    Yaml,
}

/// Something that a table can show.
pub(crate) trait Row: Serialize {
    /// Heads of the columns; of numbers when they end in `_bytes` or are `size`.
    const COLUMNS: &'static [&'static str];

    /// One text for each column.
    fn cells(&self) -> Vec<String>;
}

/// A cell; empty where nothing is known.
pub(crate) fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Collects or streams the rows of a list.
pub(crate) struct List<R> {
    format: Format,
    rows: Vec<R>,
}

impl<R: Row> List<R> {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, rows: Vec::new() }
    }

    /// One more page; with `jsonl` it is written at once.
    pub(crate) fn extend(&mut self, rows: Vec<R>) -> Result<(), Failure> {
        if self.format != Format::Jsonl {
            self.rows.extend(rows);
            return Ok(());
        }
        let mut lines = String::new();
        for row in &rows {
            lines.push_str(&json_line(row)?);
        }
        write(lines.as_bytes())
    }

    /// The end of the list.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.format {
            Format::Table => write(format!("{}\n", table(&self.rows)).as_bytes()),
            Format::Json => write(json(&self.rows)?.as_bytes()),
            Format::Jsonl => Ok(()),
            Format::Yaml => write(yaml(&self.rows)?.as_bytes()),
        }
    }
}

/// One thing: a row of its own as a table, an object otherwise.
pub(crate) fn one<R: Row>(format: Format, row: &R) -> Result<(), Failure> {
    let text = match format {
        Format::Table => format!("{}\n", table(std::slice::from_ref(row))),
        Format::Json => json(row)?,
        Format::Jsonl => json_line(row)?,
        Format::Yaml => yaml(row)?,
    };
    write(text.as_bytes())
}

/// One thing whose form for people is a table of `rows` with `line` below it.
pub(crate) fn table_and_line<R: Row>(
    format: Format,
    rows: &[R],
    line: &str,
    document: &impl Serialize,
) -> Result<(), Failure> {
    let text = match format {
        Format::Table => format!("{}\n{}\n", table(rows), printable(line)),
        Format::Json | Format::Jsonl | Format::Yaml => String::new(),
    };
    text_or(format, &text, document)
}

/// One thing whose form for people is no table but `text`.
pub(crate) fn text_or(
    format: Format,
    text: &str,
    document: &impl Serialize,
) -> Result<(), Failure> {
    let text = match format {
        Format::Table => text.to_owned(),
        Format::Json => json(document)?,
        Format::Jsonl => json_line(document)?,
        Format::Yaml => yaml(document)?,
    };
    write(text.as_bytes())
}

/// For people: a table, or a block of lines a row where a terminal is too narrow for one. A cell that is
/// wrapped is nothing to copy: a secret, the ID of a lock.
fn table<R: Row>(rows: &[R]) -> String {
    let width = if io::stdout().is_terminal() { Table::new().width() } else { None };
    laid_out(rows, width.map(usize::from))
}

/// `width` is that of the terminal, in columns; a pipe takes lines of any length.
fn laid_out<R: Row>(rows: &[R], width: Option<usize>) -> String {
    let table = bordered(rows).to_string();
    let needed = table.lines().next().map_or(0, |border| border.chars().count());
    if width.is_some_and(|width| needed > width) { blocks(rows) } else { table }
}

fn blocks<R: Row>(rows: &[R]) -> String {
    let longest = R::COLUMNS.iter().map(|name| name.len()).max().unwrap_or_default();
    let block = |row: &R| {
        let cells = row.cells();
        let filled = R::COLUMNS.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
        let line =
            |(name, cell): (&&str, &String)| format!("{name:<longest$}  {}", printable(cell));
        filled.map(line).collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

fn bordered<R: Row>(rows: &[R]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(R::COLUMNS);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row.cells().iter().map(|cell| printable(cell)));
    }
    for (index, name) in R::COLUMNS.iter().enumerate() {
        if let Some(column) = table.column_mut(index).filter(|_| *name == "size") {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Keys may hold anything; what would move a terminal's cursor is shown escaped.
pub(crate) fn printable(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::other(&error))?;
    Ok(text + "\n")
}

fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::other(&error))?;
    Ok(text + "\n")
}

fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_yaml_ng::to_string(value).map_err(|error| Failure::other(&error))
}

/// Data that has its form already.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    Ok(stdout.write_all(bytes).and_then(|()| stdout.flush())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair {
        key: String,
        size: u64,
    }

    impl Row for Pair {
        const COLUMNS: &'static [&'static str] = &["key", "size"];

        fn cells(&self) -> Vec<String> {
            vec![self.key.clone(), self.size.to_string()]
        }
    }

    #[test]
    fn tables_have_borders_and_no_control_characters() {
        let rows =
            [Pair { key: "a\u{1b}[2Jb".into(), size: 7 }, Pair { key: "c".into(), size: 123 }];
        let expected = "\
┌─────────────┬──────┐
│ key         ┆ size │
╞═════════════╪══════╡
│ a\\u{1b}[2Jb ┆    7 │
│ c           ┆  123 │
└─────────────┴──────┘";
        assert_eq!(laid_out(&rows, None), expected);
        assert_eq!(laid_out(&rows, Some(22)), expected);
        let blocks = "key   a\\u{1b}[2Jb\nsize  7\n\nkey   c\nsize  123";
        assert_eq!(laid_out(&rows, Some(21)), blocks, "no cell is wrapped");
    }

    #[test]
    fn one_thing_is_an_object() {
        let pair = Pair { key: "k".into(), size: 1 };
        assert_eq!(json_line(&pair).unwrap(), "{\"key\":\"k\",\"size\":1}\n");
        assert_eq!(yaml(&pair).unwrap(), "key: k\nsize: 1\n");
    }
}
