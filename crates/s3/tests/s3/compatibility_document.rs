//! docs/s3-compatibility.md says what the routing table does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tidelock_s3::{Operation, State};

#[test]
fn the_document_lists_every_operation_and_its_state() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/s3-compatibility.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" |");
        Some((cells.next()?.trim().to_owned(), cells.next()?.trim().to_owned()))
    });
    let said: BTreeMap<String, String> = rows.collect();
    for operation in Operation::ALL {
        let state = match operation.state() {
            State::Built => "built",
            State::Fixed => "fixed answer",
            State::NotBuilt => "501",
        };
        let name = operation.as_str();
        assert_eq!(said.get(name).map(String::as_str), Some(state), "{name}");
    }
}
