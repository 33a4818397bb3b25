//! What Tidelock is meant to reach, in ratios of one run. The floor is half of each goal.

use std::fmt;

use serde::Serialize;

use crate::report::{Figure, Report};
use crate::subject::Kind;

/// A goal, held against a run.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub goal: String,
    pub measured: f64,
    pub verdict: Verdict,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Met,
    FloorMet,
    Missed,
}

/// What is held against a bound.
#[derive(Clone, Copy, Debug)]
enum Measure {
    /// Tidelock's figure to the control's.
    ToControl(Figure),
    /// The 99th percentile, in milliseconds.
    P99,
    /// Tidelock's CPU of an operation, in microseconds.
    Cpu,
    /// The CPU of the cheapest of the others to Tidelock's.
    Peers,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};
use Measure::{Cpu, P99, Peers, ToControl};

const GOALS: &[(&str, Measure, Bound)] = &[
    ("put-4k-64", ToControl(Figure::Cpu), AtMost(1.6)),
    ("put-4k-64", ToControl(Figure::Operations), AtLeast(0.6)),
    ("put-4k-64", Peers, AtLeast(5.0)),
    ("lock-16", ToControl(Figure::Cpu), AtMost(2.0)),
    ("lock-16", ToControl(Figure::Operations), AtLeast(0.5)),
    ("lock-16", Peers, AtLeast(5.0)),
    ("lock-16", P99, AtMost(40.0)),
    ("get-4k-64", ToControl(Figure::Cpu), AtMost(2.5)),
    ("get-4k-64", Peers, AtLeast(8.0)),
    ("get-4k-64", P99, AtMost(40.0)),
    ("put-8m-4", ToControl(Figure::Operations), AtLeast(0.85)),
    ("get-8m-4", ToControl(Figure::Operations), AtLeast(0.7)),
    ("race-64", P99, AtMost(10.0)),
    ("list-1", Cpu, AtMost(3000.0)),
    ("list-delimited-1", Cpu, AtMost(3000.0)),
];

/// All goals that the run says something about.
pub fn judge(report: &Report) -> Vec<Judged> {
    let judged = GOALS.iter().filter_map(|(case, measure, bound)| {
        let (what, measured) = measure.of(report, case)?;
        let goal = format!("{case}: {what} {bound}");
        Some(Judged { goal, measured, verdict: bound.verdict(measured) })
    });
    judged.collect()
}

impl Measure {
    fn of(self, report: &Report, case: &str) -> Option<(String, f64)> {
        let own = report.row(case, Kind::Tidelock)?;
        let (what, figure) = match self {
            Self::ToControl(figure) => {
                let ratio = own.ratio(report.row(case, Kind::Control)?, figure)?;
                let name = if figure == Figure::Cpu { "CPU" } else { "ops/s" };
                (format!("{name} to the control"), ratio)
            }
            Self::P99 => ("p99 ms".to_owned(), own.median(|turn| Some(turn.p99_ms))?),
            Self::Cpu => {
                ("CPU µs".to_owned(), own.median(|turn| turn.server_cpu_us_per_operation)?)
            }
            Self::Peers => {
                let peers = report.rows.iter().filter(|row| row.case == case && row.kind.is_peer());
                let ratios = peers.filter_map(|row| Some((row.kind, row.ratio(own, Figure::Cpu)?)));
                let (kind, ratio) = ratios.min_by(|one, other| one.1.total_cmp(&other.1))?;
                (format!("CPU of the cheapest peer ({kind})"), ratio)
            }
        };
        Some((what, figure))
    }
}

impl Bound {
    fn verdict(self, measured: f64) -> Verdict {
        let is_met = |bound| match bound {
            Self::AtMost(most) => measured <= most,
            Self::AtLeast(least) => measured >= least,
        };
        let floor = match self {
            Self::AtMost(most) => Self::AtMost(most * 2.0),
            Self::AtLeast(least) => Self::AtLeast(least / 2.0),
        };
        match (is_met(self), is_met(floor)) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::FloorMet,
            (false, false) => Verdict::Missed,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::FloorMet => "floor met",
            Self::Missed => "missed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_half_of_a_goal() {
        let rows = [
            (AtMost(1.6), 1.6, Verdict::Met),
            (AtMost(1.6), 3.2, Verdict::FloorMet),
            (AtMost(1.6), 3.3, Verdict::Missed),
            (AtLeast(0.6), 0.7, Verdict::Met),
            (AtLeast(0.6), 0.3, Verdict::FloorMet),
            (AtLeast(0.6), 0.2, Verdict::Missed),
        ];
        for (bound, measured, verdict) in rows {
            assert_eq!(bound.verdict(measured), verdict, "{bound} {measured}");
        }
    }
}
