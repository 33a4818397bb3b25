//! The tables: one for each case, a row for each subject, with ratios to the control and to Tidelock. A
//! figure is the median of the turns; a ratio is the median of the ratios within each round.

use std::fmt;

use serde::Serialize;
use tidelock_client::bench::Measured;

use crate::case::Case;
use crate::goals::{self, Judged};
use crate::subject::Kind;

/// All that was measured.
#[derive(Debug, Default)]
pub struct Report {
    pub rows: Vec<Row>,
}

/// One subject in one case.
#[derive(Debug)]
pub struct Row {
    pub case: &'static str,
    clients: usize,
    pub kind: Kind,
    server_pid: u32,
    turns: Vec<Measured>,
}

/// The same as a document.
#[derive(Serialize)]
struct Document<'a> {
    rows: Vec<DocumentRow<'a>>,
    goals: Vec<Judged>,
}

#[derive(Serialize)]
struct DocumentRow<'a> {
    case: &'a str,
    subject: String,
    operations_per_second: Option<f64>,
    server_cpu_us_per_operation: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    cpu_to_control: Option<f64>,
    operations_to_control: Option<f64>,
    cpu_to_tidelock: Option<f64>,
    operations_to_tidelock: Option<f64>,
    turns: &'a [Measured],
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    Operations,
    Cpu,
}

impl Row {
    /// From its turns.
    pub fn of(case: &Case, kind: Kind, server_pid: u32, turns: Vec<Measured>) -> Self {
        Self { case: case.name, clients: case.clients, kind, server_pid, turns }
    }

    /// The median of the turns that had an answer.
    pub fn median(&self, figure: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
        let right = self.turns.iter().filter(|turn| turn.operations > 0);
        median(right.filter_map(figure).collect())
    }

    /// How it stands to `other`, round by round.
    pub fn ratio(&self, other: &Self, figure: Figure) -> Option<f64> {
        let pairs = self.turns.iter().zip(&other.turns);
        let ratios = pairs.filter_map(|(own, other)| {
            let (own, other) = (figure.of(own)?, figure.of(other)?);
            // Not of a turn without an operation.
            (own > 0.0 && other > 0.0).then(|| own / other)
        });
        median(ratios.collect())
    }

    /// Answers that were not right.
    pub fn errors(&self) -> u64 {
        self.turns.iter().map(Measured::error_count).sum()
    }

    /// CPU of the processes behind the server.
    fn cpu_behind(&self) -> Option<f64> {
        self.median(|turn| {
            let behind = turn.processes.iter().filter(|process| process.pid != self.server_pid);
            Some(behind.map(|process| process.cpu_us_per_operation).sum())
        })
        .filter(|cpu| *cpu > 0.0)
    }

    /// The errors by name, for people.
    fn error_names(&self) -> String {
        let mut names: Vec<&str> = self
            .turns
            .iter()
            .flat_map(|turn| &turn.errors)
            .map(|error| error.code.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }
}

impl Figure {
    fn of(self, turn: &Measured) -> Option<f64> {
        match self {
            Self::Operations => Some(turn.operations_per_second),
            Self::Cpu => turn.server_cpu_us_per_operation,
        }
    }
}

impl Report {
    /// The row of a subject in a case.
    pub fn row(&self, case: &str, kind: Kind) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case && row.kind == kind)
    }

    /// Whether Tidelock and the control have answered everything rightly.
    pub fn is_right(&self) -> bool {
        let ours = self.rows.iter().filter(|row| !row.kind.is_peer());
        ours.clone().count() > 0
            && ours.clone().all(|row| row.errors() == 0)
            && ours.clone().all(|row| row.turns.iter().all(Measured::is_right))
    }

    /// The report as one JSON document.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn json(&self) -> serde_json::Result<String> {
        let rows = self.rows.iter().map(|row| {
            let to = |kind, figure| row.ratio(self.row(row.case, kind)?, figure);
            DocumentRow {
                case: row.case,
                subject: row.kind.to_string(),
                operations_per_second: row.median(|turn| Some(turn.operations_per_second)),
                server_cpu_us_per_operation: row.median(|turn| turn.server_cpu_us_per_operation),
                p50_ms: row.median(|turn| Some(turn.p50_ms)),
                p99_ms: row.median(|turn| Some(turn.p99_ms)),
                cpu_to_control: to(Kind::Control, Figure::Cpu),
                operations_to_control: to(Kind::Control, Figure::Operations),
                cpu_to_tidelock: to(Kind::Tidelock, Figure::Cpu),
                operations_to_tidelock: to(Kind::Tidelock, Figure::Operations),
                turns: &row.turns,
            }
        });
        serde_json::to_string_pretty(&Document { rows: rows.collect(), goals: goals::judge(self) })
    }

    fn cases(&self) -> Vec<&'static str> {
        let mut cases: Vec<_> = self.rows.iter().map(|row| row.case).collect();
        cases.dedup();
        cases
    }

    fn write_case(&self, f: &mut fmt::Formatter<'_>, case: &str) -> fmt::Result {
        let rows = self.rows.iter().filter(|row| row.case == case);
        let clients = rows.clone().next().map_or(0, |row| row.clients);
        writeln!(f, "\n{case}, {clients} clients\n")?;
        writeln!(
            f,
            "| subject | ops/s | p50 ms | p99 ms | max ms | CPU µs/op | of that behind it | CPU to control | ops \
             to control | CPU to tidelock | ops to tidelock | errors |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|")?;
        for row in rows {
            let to = |kind, figure| places(2, row.ratio(self.row(case, kind)?, figure));
            let to = |kind, figure| to(kind, figure).unwrap_or_default();
            let figure = |digits, figure: fn(&Measured) -> Option<f64>| {
                places(digits, row.median(figure)).unwrap_or_default()
            };
            let max = row.turns.iter().map(|turn| turn.max_ms).fold(0.0, f64::max);
            let errors = match row.errors() {
                0 => String::new(),
                count => format!("{count}: {}", row.error_names()),
            };
            writeln!(
                f,
                "| {} | {} | {} | {} | {max:.2} | {} | {} | {} | {} | {} | {} | {errors} |",
                row.kind,
                figure(0, |turn| Some(turn.operations_per_second)),
                figure(2, |turn| Some(turn.p50_ms)),
                figure(2, |turn| Some(turn.p99_ms)),
                figure(0, |turn| turn.server_cpu_us_per_operation),
                places(0, row.cpu_behind()).unwrap_or_default(),
                to(Kind::Control, Figure::Cpu),
                to(Kind::Control, Figure::Operations),
                to(Kind::Tidelock, Figure::Cpu),
                to(Kind::Tidelock, Figure::Operations),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in self.cases() {
            self.write_case(f, case)?;
        }
        let goals = goals::judge(self);
        if goals.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n| goal | measured | |\n|---|--:|---|")?;
        for Judged { goal, measured, verdict } in goals {
            writeln!(f, "| {goal} | {measured:.2} | {verdict} |")?;
        }
        Ok(())
    }
}

fn places(digits: usize, figure: Option<f64>) -> Option<String> {
    figure.map(|figure| format!("{figure:.digits$}"))
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    let upper = figures.get(half)?;
    match figures.len() % 2 {
        0 => Some((upper + figures.get(half - 1)?) / 2.0),
        _ => Some(*upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let rows: &[(&[f64], Option<f64>)] = &[
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[4.0, 1.0], Some(2.5)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
        ];
        for (figures, expected) in rows {
            assert_eq!(median(figures.to_vec()), *expected);
        }
    }
}
