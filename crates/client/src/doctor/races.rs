//! Whether conditions of writes are kept when many clients write at once.
//!
//! A round is one object and one request of each client, all under way together. Nothing is sent again,
//! so that every answer counts, and at the end the object must be the winner's.

use std::time::Duration;

use futures_util::future::join_all;

use super::check::{Check, Made, Needs, Outcome, Weight};
use super::contest::Contest;
use super::ward::{Answer, Ward};
use crate::ClientError;

/// No round of a race begins after this; slow endpoints get fewer rounds.
const RACE_TIME_MAX: Duration = Duration::from_secs(30);
/// What to do where a lock has several winners.
const NO_LOCKS: &str = "do not lock states here: sooner or later two runs hold the same lock, and one overwrites the other";
/// What to do where only other tools are let down.
const NO_OTHERS: &str = "let no tool rely on it here; the locks of Terraform and OpenTofu do not";

/// What to do where not all rounds tell.
const UNCLEAR: &str = "examine it again when less is going on there; Terraform tries again";

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "race-put",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: NO_LOCKS,
        run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::Put)) },
    },
    Check {
        name: "race-put-if-match",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::Update)) },
    },
    Check {
        name: "race-complete",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::Complete)) },
    },
    Check {
        name: "race-put-or-complete",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::PutOrComplete)) },
    },
    Check {
        name: "race-copy",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::Copy)) },
    },
    Check {
        name: "race-delete",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: NO_OTHERS,
        run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::Delete)) },
    },
];

pub(super) const ON_VERSIONS: &[Check] = &[Check {
    name: "race-put-over-delete-marker",
    weight: Weight::Locks,
    needs: Needs::Versions,
    advice: NO_LOCKS,
    run: |ward| -> Made<'_> { Box::pin(race(ward, Contest::PutOverMarker)) },
}];

/// What the rounds of a race came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    rounds: u32,
    /// Rounds with more than one winner.
    shared: u32,
    /// Most winners of a round.
    winners_max: usize,
    /// Rounds with one winner, whose object is another's.
    robbed: u32,
    /// Rounds that nobody won.
    unwon: u32,
    /// Answers that say neither yes nor no.
    errors: u32,
    /// The first of them.
    error: String,
}

/// What became of one client.
enum Fate {
    Won,
    Lost,
    Error(String),
}

async fn race(ward: &Ward, contest: Contest) -> Result<Outcome, ClientError> {
    let mut tally = Tally::default();
    let begun = tokio::time::Instant::now();
    for number in 0..ward.rounds {
        if number > 0 && begun.elapsed() > RACE_TIME_MAX {
            break;
        }
        let name = format!("{contest:?}-{number}").to_lowercase();
        let requests = contest.prepare(ward, &name).await?;
        let answers = join_all(requests.iter().map(|request| ward.ask(request))).await;
        let fates: Vec<Fate> = answers.into_iter().map(Fate::of).collect();
        let found = ward.get(&name).await?;
        tally.add(&fates, |winner| contest.body(winner) == found);
        if contest.leaves_uploads() {
            ward.sweep().abort_uploads().await?;
        }
    }
    Ok(tally.outcome(ward.racers))
}

impl Fate {
    fn of(answer: Result<Answer, ClientError>) -> Self {
        match answer {
            Ok(answer) if answer.is_success() => Self::Won,
            // Who deletes too late may be told that there is nothing.
            Ok(answer) if answer.is_refused_condition() || answer.status == 404 => Self::Lost,
            Ok(answer) => Self::Error(answer.words()),
            Err(error) => Self::Error(error.to_string()),
        }
    }
}

impl Tally {
    /// One more round; `is_of` tells whether the object is as its `winner` has written it.
    fn add(&mut self, fates: &[Fate], is_of: impl Fn(usize) -> bool) {
        let winners: Vec<usize> =
            (0..fates.len()).filter(|racer| matches!(fates[*racer], Fate::Won)).collect();
        self.rounds += 1;
        self.winners_max = self.winners_max.max(winners.len());
        for fate in fates {
            if let Fate::Error(error) = fate {
                if self.errors == 0 {
                    self.error.clone_from(error);
                }
                self.errors += 1;
            }
        }
        match winners.as_slice() {
            [] => self.unwon += 1,
            [winner] if !is_of(*winner) => self.robbed += 1,
            [_] => {}
            [_, _, ..] => self.shared += 1,
        }
    }

    fn outcome(&self, racers: usize) -> Outcome {
        let rounds = self.rounds;
        let mut said = Vec::new();
        if self.shared > 0 {
            let (shared, most) = (self.shared, self.winners_max);
            said.push(format!("{shared} of {rounds} rounds had several winners, up to {most}"));
        }
        if self.robbed > 0 {
            let robbed = self.robbed;
            said.push(format!("in {robbed} of {rounds} rounds the object is not its winner's"));
        }
        let is_bad = !said.is_empty() || self.unwon == rounds;
        if self.unwon > 0 {
            said.push(format!("{} of {rounds} rounds had no winner", self.unwon));
        }
        if self.errors > 0 {
            said.push(format!("{} answers were errors ({})", self.errors, self.error));
        }
        if said.is_empty() {
            return Outcome::Good(format!("{rounds} rounds of {racers} clients, one winner each"));
        }
        let said = said.join("; ");
        if is_bad { Outcome::Bad(said) } else { Outcome::Odd(said, Some(UNCLEAR)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fates: `w`on, `l`ost, `e`rror; after `!` the object is not the winner's.
    fn outcome(rounds: &[&str]) -> String {
        let mut tally = Tally::default();
        for round in rounds {
            let fates: Vec<Fate> = round
                .chars()
                .filter(|fate| *fate != '!')
                .map(|fate| match fate {
                    'w' => Fate::Won,
                    'l' => Fate::Lost,
                    _ => Fate::Error("503 SlowDown".to_owned()),
                })
                .collect();
            tally.add(&fates, |_| !round.contains('!'));
        }
        match tally.outcome(3) {
            Outcome::Odd(seen, _) => format!("Odd({seen:?})"),
            outcome => format!("{outcome:?}"),
        }
    }

    #[test]
    fn a_race_is_judged_by_all_of_its_rounds() {
        let rows: &[(&[&str], &str)] = &[
            (&["wll", "lwl"], r#"Good("2 rounds of 3 clients, one winner each")"#),
            (&["wll", "www"], r#"Bad("1 of 2 rounds had several winners, up to 3")"#),
            (&["!wll"], r#"Bad("in 1 of 1 rounds the object is not its winner's")"#),
            (&["lll"], r#"Bad("1 of 1 rounds had no winner")"#),
            (&["lll", "wll"], r#"Odd("1 of 2 rounds had no winner")"#),
            (&["wle", "wll"], r#"Odd("1 answers were errors (503 SlowDown)")"#),
            (
                &["wwe", "lll"],
                r#"Bad("1 of 2 rounds had several winners, up to 2; 1 of 2 rounds had no winner; 1 answers were errors (503 SlowDown)")"#,
            ),
        ];
        for (rounds, expected) in rows {
            assert_eq!(outcome(rounds), *expected, "{rounds:?}");
        }
    }
}
