//! Commits whose answer is lost: reading tells what became of them.

use std::sync::Arc;

use super::{Violation, batch, ensure, key, number, parse_number, put, read_present};
use crate::{MetaError, MetaStore, Outcome};

const COMMITS: u64 = 5;

/// `inject(n)` makes the next `n` commits answer [`MetaError::Unknown`], all of them applied or all
/// of them lost as `applied` says. Each must answer that, and a read must tell which it was; commits
/// after them are as ever.
///
/// # Errors
///
/// A [`Violation`] when an injected commit answers something else or its rows do not tell.
pub async fn unknown_commits(
    store: Arc<dyn MetaStore>,
    applied: bool,
    inject: impl Fn(usize),
) -> Result<(), Violation> {
    let store = &*store;
    let key = key("unknown/counter");
    put(store, &key, number(0)).await?;
    for round in 1..=COMMITS {
        inject(1);
        let seen = read_present(store, &key).await?;
        let mut addition = batch();
        addition.expect(key.clone(), Some(&seen));
        addition.put(key.clone(), number(round));
        let answer = store.commit(addition.clone()).await;
        let expected = Err(MetaError::Unknown);
        ensure(answer == expected, || format!("an injected commit answered {answer:?}"))?;
        let after = read_present(store, &key).await?;
        let is_applied = after != seen;
        ensure(is_applied == applied, || format!("applied: {is_applied}, expected {applied}"))?;
        let again = store.commit(addition).await?;
        let repeats = matches!(again, Outcome::Committed(_));
        ensure(repeats != applied, || format!("the same batch again answered {again:?}"))?;
    }
    let sum = parse_number(&read_present(store, &key).await?.value)?;
    ensure(sum == COMMITS, || format!("the counter is {sum} after {COMMITS} additions"))
}
