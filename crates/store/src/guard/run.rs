//! Whose request this is: the run that holds the lock, one that has lost it, or another. Pure.
//!
//! A run is known by its principal, its address, its program, and by the connections it was seen on:
//! a process keeps a connection as long as it is not idle for long. Two runs of one principal on one
//! machine differ in nothing else. One that cannot be told from a run that lost its lock is taken for
//! the holder until that run shows that it lives: after a forced unlock the old run is dead nearly
//! always, and a wrong guess overwrites nothing, since the fence of serials refuses the later of two
//! writes. Once it has shown that it lives, nothing is guessed any more.

use std::sync::Arc;

use tidelock_meta::record::guard::{FencedRun, GuardRow, Hold};
use tidelock_meta::record::run::{CallId, ConnectionId, Run};

use crate::identity::Principal;
use crate::origin::Protocol;

/// An SDK repeats a request within this time.
const REPEATS_WITHIN_MS: i64 = 30_000;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    run: Run,
    /// As whoever wrote a lock before the bucket was guarded is known.
    arn: Arc<str>,
    connection: ConnectionId,
    named: Named,
    /// The call of its SDK, where it says.
    call: Option<CallId>,
}

/// Which lock the client says that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    /// Its protocol has no word for it.
    Cannot,
    /// None.
    None,
    /// This one.
    Lock(String),
}

/// Where the asker stands with the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody holds it.
    Free,
    /// The asker does.
    Holder,
    /// The asker had it, and it was taken away or written over.
    Lost,
    /// Another principal does.
    Other,
    /// The asker may be the holder, or a run that lost the lock and is still alive.
    Unclear,
}

/// How a run is remembered that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sticking {
    /// By its connection only.
    Silent,
    /// As one that lives, and that others which look like it may be.
    Lives,
}

impl Asker {
    pub(crate) fn of(principal: &Principal) -> Self {
        let origin = &principal.origin;
        let connection = origin.conversation.connection();
        let run = Run {
            holder: principal.holder(),
            address: origin.address.clone(),
            user_agent: origin.user_agent.clone(),
            connections: vec![connection],
        };
        let named = match (origin.protocol, &origin.lock_id) {
            (_, Some(id)) => Named::Lock(id.clone()),
            (Protocol::TerraformHttp, None) => Named::None,
            (Protocol::S3 | Protocol::Api | Protocol::Server, None) => Named::Cannot,
        };
        let (arn, call) = (Arc::clone(&principal.arn), origin.call);
        Self { run, arn, connection, named, call }
    }

    /// As it is remembered.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// Where it stands; `held` is the ID of the lock that is held, as far as it has one.
    pub(crate) fn standing(
        &self,
        row: &GuardRow,
        held: Option<&str>,
        alive_since_ms: i64,
    ) -> Standing {
        // A client that names its lock leaves nothing to guess.
        match (&self.named, &row.hold) {
            // Every refusal tells the ID, so that it proves nothing about another principal.
            (Named::Lock(_), Some(hold)) if !self.owns(hold) => return Standing::Other,
            // Its body is not known, nor the ID.
            (Named::Lock(_), Some(hold)) if hold.sealed_lock.is_empty() => {}
            (Named::Lock(named), Some(hold)) if held == Some(named.as_str()) => {
                return if hold.refused { Standing::Lost } else { Standing::Holder };
            }
            (Named::Lock(_), _) => return Standing::Lost,
            (Named::None, Some(_)) => return Standing::Other,
            (Named::None, None) | (Named::Cannot, _) => {}
        }
        if row.fenced.iter().any(|fenced| fenced.broken && self.is(&fenced.run)) {
            return Standing::Lost;
        }
        let mut alike = row.fenced.iter().filter(|it| self.may_be_the_loser(it));
        let lives = alike.any(|it| it.alive_ms.is_some_and(|at| at >= alive_since_ms));
        let Some(hold) = &row.hold else {
            return if lives { Standing::Lost } else { Standing::Free };
        };
        if !self.owns(hold) {
            return Standing::Other;
        }
        if self.is(&hold.run) {
            return Standing::Holder;
        }
        match (self.may_have_lost(row), hold.run.looks_like(&self.run)) {
            (false, _) => Standing::Holder,
            (true, false) => Standing::Lost,
            (true, true) if lives => Standing::Unclear,
            (true, true) => Standing::Holder,
        }
    }

    /// Remembers in `row` that the asker's writes are refused from now on, until it takes the lock
    /// anew.
    pub(crate) fn fence(&self, row: &mut GuardRow, sticking: Sticking, now_ms: i64) {
        let alive_ms = (sticking == Sticking::Lives).then_some(now_ms);
        // One that lives and looks like it is the same run, on another connection.
        let is_known = |it: &&mut FencedRun| {
            let lives = it.alive_ms.is_some() && it.run.looks_like(&self.run);
            it.broken && (self.is(&it.run) || (lives && alive_ms.is_some()))
        };
        if let Some(known) = row.fenced.iter_mut().find(is_known) {
            known.run.add(self.connection);
            known.alive_ms = alive_ms.or(known.alive_ms);
            return;
        }
        let (run, ended_ms) = (self.run.clone(), now_ms);
        let fenced =
            FencedRun { run, ended_ms, broken: true, alive_ms, taken_by: None, ended_by: None };
        row.fence(fenced);
    }

    /// Remembers in `row` that nothing more is written under the lock that the asker has named, if that is
    /// the one that is held: its connections say nothing of a client that names its lock.
    pub(crate) fn refuse_named(&self, row: &mut GuardRow, held: Option<&str>) {
        if let (Named::Lock(named), Some(hold)) = (&self.named, &mut row.hold)
            && held == Some(named.as_str())
            && self.owns(hold)
        {
            hold.refused = true;
        }
    }

    /// Whether it was refused, or lost the lock, and was seen alive since.
    pub(crate) fn is_known_to_live(&self, row: &GuardRow) -> bool {
        row.fenced.iter().any(|fenced| fenced.alive_ms.is_some() && self.is(&fenced.run))
    }

    /// Remembers in `row` that the asker gives its lock back, or looks for it to do so: it comes to its
    /// end, and nobody else need be taken for it.
    pub(crate) fn ends(&self, row: &mut GuardRow) {
        for fenced in row.fenced.iter_mut().filter(|it| self.is(&it.run)) {
            fenced.alive_ms = None;
        }
    }

    /// Whether it gives its own lock back: it is seen on a connection of the run that took it, or looks
    /// like that run and is no process that has just begun (each begins with a list of the bucket).
    pub(crate) fn gives_back(
        &self,
        row: &GuardRow,
        held: Option<&str>,
        has_just_begun: bool,
    ) -> bool {
        let Some(hold) = &row.hold else { return false };
        match &self.named {
            Named::Lock(named) if !hold.sealed_lock.is_empty() => {
                return Some(named.as_str()) == held && self.owns(hold);
            }
            Named::None => return false,
            Named::Lock(_) | Named::Cannot => {}
        }
        let may_be = hold.run.looks_like(&self.run) || (is_unseen(&hold.run) && self.owns(hold));
        self.is(&hold.run) || (may_be && !has_just_begun)
    }

    /// Whether it looks like a run that has given its lock back a moment ago, before the one that is
    /// held was taken: then its DELETE was sent before, and its reply was lost. A client that names its
    /// calls leaves nothing to guess.
    pub(crate) fn has_just_given_back(&self, row: &GuardRow, now_ms: i64) -> bool {
        let Some(hold) = &row.hold else { return false };
        let is_meant = |it: &FencedRun| {
            let is_other = it.ended_by.zip(self.call).is_some_and(|(ended, asks)| ended != asks);
            it.run.looks_like(&self.run)
                && !is_other
                && now_ms - it.ended_ms <= REPEATS_WITHIN_MS
                && hold.since_ms >= it.ended_ms
        };
        !self.is(&hold.run) && row.fenced.iter().any(is_meant)
    }

    /// Whether it is the principal that holds the lock.
    pub(crate) fn owns(&self, hold: &Hold) -> bool {
        self.is_of(&hold.run)
    }

    fn is_of(&self, run: &Run) -> bool {
        run.holder == self.run.holder || (is_unseen(run) && run.holder == *self.arn)
    }

    /// Whether its call has ended a lock before: then this is another try of it, and whatever is held now is
    /// another one.
    pub(crate) fn has_ended_its_lock(&self, row: &GuardRow) -> bool {
        self.call.is_some() && row.fenced.iter().any(|fenced| fenced.ended_by == self.call)
    }

    /// Whether its call has taken a lock that has ended since: then this is a try of it that was held up
    /// on its way, and whoever sent it has long gone on.
    pub(crate) fn has_had_its_lock(&self, row: &GuardRow) -> bool {
        self.call.is_some() && row.fenced.iter().any(|fenced| fenced.taken_by == self.call)
    }

    /// The call that it is part of, where it says.
    pub(crate) fn call(&self) -> Option<CallId> {
        self.call
    }

    /// Whether it may be a run that lost its lock.
    pub(crate) fn may_have_lost(&self, row: &GuardRow) -> bool {
        row.fenced.iter().any(|it| self.may_be_the_loser(it))
    }

    fn may_be_the_loser(&self, fenced: &FencedRun) -> bool {
        let looks_like = fenced.run.looks_like(&self.run);
        fenced.broken && (looks_like || (is_unseen(&fenced.run) && self.is_of(&fenced.run)))
    }

    /// Remembers in `run`, which holds the lock, where it was seen. Of one that took it before the bucket was
    /// guarded all of that is new.
    pub(crate) fn seen_as(&self, run: &mut Run) {
        if is_unseen(run) && self.is_of(run) {
            *run = self.run.clone();
        }
        run.add(self.connection);
    }

    /// Whether it is this run: it looks like it, and is on one of its connections. Behind a proxy runs of
    /// several principals share those.
    fn is(&self, run: &Run) -> bool {
        run.has(self.connection) && run.looks_like(&self.run)
    }

    /// Forgets in `row` that the asker had lost a lock: it takes it anew.
    /// The calls of that lock are remembered.
    pub(crate) fn begin_anew(&self, row: &mut GuardRow) {
        let has_calls = |it: &FencedRun| it.taken_by.is_some() || it.ended_by.is_some();
        row.fenced.retain(|fenced| !self.is(&fenced.run) || has_calls(fenced));
        for fenced in row.fenced.iter_mut().filter(|fenced| self.is(&fenced.run)) {
            (fenced.broken, fenced.alive_ms) = (false, None);
        }
    }
}

/// Whether a run has taken its lock before the bucket was guarded, and nothing is known but whose it is.
fn is_unseen(run: &Run) -> bool {
    run.connections.is_empty()
}

#[cfg(test)]
mod tests {
    use tidelock_meta::record::version::VersionId;

    use super::*;

    const NOW: i64 = 1_000_000;
    const MEMORY: i64 = 1_000;

    /// Name, what is held, who lost it before, who asks, and what is expected.
    type Case = (&'static str, Option<Hold>, Vec<FencedRun>, Run, Standing);

    fn run(holder: &str, address: &str, connections: &[u8]) -> Run {
        Run {
            holder: holder.to_owned(),
            address: address.to_owned(),
            user_agent: "Terraform".to_owned(),
            connections: connections.iter().map(|it| ConnectionId([*it; 16])).collect(),
        }
    }

    fn hold(run: Run) -> Hold {
        let begun = Hold::begun(VersionId { sequence: 1, random: 1 }, NOW, run);
        Hold { sealed_lock: vec![1], ..begun }
    }

    fn lost(run: Run, broken: bool, alive_ms: Option<i64>) -> FencedRun {
        FencedRun { run, ended_ms: NOW, broken, alive_ms, taken_by: None, ended_by: None }
    }

    fn asker(run: Run, named: Named) -> Asker {
        let arn = run.holder.as_str().into();
        Asker { arn, connection: run.connections[0], run, named, call: None }
    }

    #[test]
    fn the_holder_is_told_from_who_lost_the_lock() {
        let held = || Some(hold(run("ci", "a", &[2])));
        let old = |broken, alive| vec![lost(run("ci", "a", &[1]), broken, alive)];
        let alive = Some(NOW - 1);
        let rows: [Case; 15] = [
            ("nobody holds it", None, vec![], run("ci", "a", &[1]), Standing::Free),
            ("the holder", held(), vec![], run("ci", "a", &[2]), Standing::Holder),
            ("on a new connection", held(), vec![], run("ci", "a", &[3]), Standing::Holder),
            ("from elsewhere", held(), vec![], run("ci", "b", &[3]), Standing::Holder),
            ("another principal", held(), vec![], run("me", "a", &[3]), Standing::Other),
            ("broken", held(), old(true, None), run("ci", "a", &[1]), Standing::Lost),
            ("given back", held(), old(false, None), run("ci", "a", &[1]), Standing::Holder),
            ("after a break", held(), old(true, None), run("ci", "a", &[2]), Standing::Holder),
            (
                "the old run may be dead",
                held(),
                old(true, None),
                run("ci", "a", &[3]),
                Standing::Holder,
            ),
            ("it lives", held(), old(true, alive), run("ci", "a", &[3]), Standing::Unclear),
            ("it lived", held(), old(true, Some(1)), run("ci", "a", &[3]), Standing::Holder),
            (
                "it lives elsewhere",
                held(),
                old(true, alive),
                run("ci", "b", &[3]),
                Standing::Holder,
            ),
            (
                "the holder is elsewhere",
                Some(hold(run("ci", "b", &[2]))),
                old(true, None),
                run("ci", "a", &[3]),
                Standing::Lost,
            ),
            ("broken, and free again", None, old(true, None), run("ci", "a", &[1]), Standing::Lost),
            ("a new run may take it", None, old(true, None), run("ci", "a", &[3]), Standing::Free),
        ];
        for (name, hold, fenced, asks, expected) in rows {
            let row = GuardRow { hold, fenced, ..GuardRow::default() };
            let asker = asker(asks, Named::Cannot);
            assert_eq!(asker.standing(&row, None, NOW - MEMORY), expected, "{name}");
        }
    }

    #[test]
    fn who_names_its_lock_is_believed() {
        let row = GuardRow { hold: Some(hold(run("ci", "a", &[2]))), ..GuardRow::default() };
        let one = || Named::Lock("1".to_owned());
        for (user, named, held, expected) in [
            ("ci", one(), Some("1"), Standing::Holder),
            ("ci", one(), Some("2"), Standing::Lost),
            ("ci", one(), None, Standing::Lost),
            ("ci", Named::None, Some("1"), Standing::Other),
            ("me", one(), Some("1"), Standing::Other),
        ] {
            let name = format!("{user} {named:?} {held:?}");
            let asker = asker(run(user, "b", &[9]), named);
            assert_eq!(asker.standing(&row, held, 0), expected, "{name}");
            let gives_back = expected == Standing::Holder;
            assert_eq!(asker.gives_back(&row, held, false), gives_back, "{name}");
        }
    }

    /// Only who wrote its object is known of it, by the ARN of the session.
    #[test]
    fn a_lock_from_before_the_guard_is_held_by_its_author() {
        const SESSION: &str = "assumed-role/ci/session";
        let version = VersionId { sequence: 1, random: 1 };
        let unseen = |holder: &str| Run { holder: holder.to_owned(), ..Run::default() };
        let row = GuardRow {
            hold: Some(Hold::begun(version, NOW, unseen(SESSION))),
            ..GuardRow::default()
        };
        let session =
            |arn: &str, named| Asker { arn: arn.into(), ..asker(run("role/ci", "a", &[1]), named) };
        let rows = [
            (SESSION, Named::Cannot, Standing::Holder, true),
            (SESSION, Named::Lock("1".to_owned()), Standing::Holder, true),
            ("user/me", Named::Cannot, Standing::Other, false),
            ("user/me", Named::Lock("1".to_owned()), Standing::Other, false),
        ];
        for (arn, named, expected, gives_back) in rows {
            let name = format!("{arn} {named:?}");
            let asker = session(arn, named);
            assert_eq!(asker.standing(&row, None, 0), expected, "{name}");
            assert_eq!(asker.gives_back(&row, None, false), gives_back, "{name}");
        }
        // Broken before its first write: whoever is that principal may be the run that lost it.
        let mut broken = row;
        broken.end_hold(NOW, true, None);
        assert!(session(SESSION, Named::Cannot).may_have_lost(&broken));
        assert!(!session("user/me", Named::Cannot).may_have_lost(&broken));
    }

    #[test]
    fn a_refusal_sticks_to_the_lock_that_was_named() {
        let mut row = GuardRow { hold: Some(hold(run("ci", "a", &[2]))), ..GuardRow::default() };
        let named = |connection| asker(run("ci", "a", &[connection]), Named::Lock("1".to_owned()));
        named(3).refuse_named(&mut row, Some("2"));
        assert_eq!(named(4).standing(&row, Some("1"), 0), Standing::Holder, "another lock");
        named(3).refuse_named(&mut row, Some("1"));
        assert_eq!(named(4).standing(&row, Some("1"), 0), Standing::Lost);
        row.hold = Some(hold(run("ci", "a", &[5])));
        assert_eq!(named(4).standing(&row, Some("1"), 0), Standing::Holder, "taken anew");
    }

    #[test]
    fn a_refusal_sticks_until_the_lock_is_taken_anew() {
        let asker = asker(run("ci", "a", &[3]), Named::Cannot);
        let mut row = GuardRow { hold: Some(hold(run("ci", "a", &[3]))), ..GuardRow::default() };
        asker.fence(&mut row, Sticking::Lives, NOW);
        assert_eq!(asker.standing(&row, None, 0), Standing::Lost);
        asker.fence(&mut row, Sticking::Silent, NOW + 1);
        assert_eq!(row.fenced.len(), 1, "one run, one entry");
        assert!(asker.is_known_to_live(&row));
        asker.ends(&mut row);
        assert!(!asker.is_known_to_live(&row));
        assert_eq!(asker.standing(&row, None, 0), Standing::Lost, "it stays refused");
        asker.begin_anew(&mut row);
        assert_eq!(asker.standing(&row, None, 0), Standing::Holder);
    }
}
