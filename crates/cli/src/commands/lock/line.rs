//! A lock in one line.

use tidelock_client::state::StateLock;

/// `root@host, apply, since 2026-11-21T20:35:06Z`
pub(crate) fn line(lock: &StateLock) -> String {
    if lock == &StateLock::default() {
        return "locked, by whom cannot be read".to_owned();
    }
    let who = if lock.who.is_empty() { "somebody" } else { &lock.who };
    let mut line = who.to_owned();
    if !lock.operation.is_empty() {
        line.push_str(&format!(", {}", operation(&lock.operation)));
    }
    if !lock.created.is_empty() {
        line.push_str(&format!(", since {}", lock.created));
    }
    line
}

/// Of its own operations Terraform writes the name of a type of its code.
fn operation(word: &str) -> String {
    word.strip_prefix("OperationType").map_or_else(|| word.to_owned(), str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_the_lock_says() {
        let rows = [
            (("", "", "", ""), "locked, by whom cannot be read"),
            (("1", "", "", ""), "somebody"),
            (("1", "OperationTypeApply", "me@host", ""), "me@host, apply"),
            (("1", "state-push", "me@host", "now"), "me@host, state-push, since now"),
        ];
        for ((id, operation, who, created), expected) in rows {
            let [id, operation, who, created] = [id, operation, who, created].map(str::to_owned);
            let lock = StateLock { id, operation, who, created, ..StateLock::default() };
            assert_eq!(line(&lock), expected);
        }
    }
}
