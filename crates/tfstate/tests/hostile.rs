//! Bodies that mean harm, of 100 MB: they cost time for their length, no stack and little memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidelock_tfstate::{
    Diff, Document, DocumentError, Mask, NotAState, Show, State, StateReader, SyntaxErrorKind,
};

const BODY_BYTES: usize = 100 << 20;

/// What reading the facts may add to the memory of the process: the pieces and the capture.
const MEMORY_GROWTH_BYTES_MAX: usize = 16 << 20;

/// What the second pass may add beyond the body: what it lists.
const DOCUMENT_GROWTH_BYTES_MAX: usize = 400 << 20;

/// Reads `head`, then `unit` until 100 MB are full, then `tail`, in pieces.
fn read(head: &str, unit: &str, tail: &str) -> Result<State, NotAState> {
    let piece = unit.repeat((64 << 10) / unit.len());
    let mut reader = StateReader::new();
    reader.push(head.as_bytes())?;
    let before = peak_memory_bytes();
    for _ in 0..BODY_BYTES / piece.len() {
        reader.push(piece.as_bytes())?;
    }
    let growth = peak_memory_bytes().saturating_sub(before);
    assert!(growth < MEMORY_GROWTH_BYTES_MAX, "{head}: {growth} bytes");
    reader.push(tail.as_bytes())?;
    reader.finish()
}

/// The most memory this process ever had; 0 where the system does not say.
fn peak_memory_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kibibytes.and_then(|number| number.trim().parse::<usize>().ok()).unwrap_or_default() << 10
}

const FACTS: &str = r#""version":4,"serial":7,"lineage":"l""#;

// One test, so that nothing else grows the process meanwhile; the small bodies come first.
#[test]
fn a_hundred_megabytes_are_bounded() {
    facts_take_no_memory();
    depth_ends_at_the_limit();
    documents_take_what_they_list();
}

fn facts_take_no_memory() {
    let rows = [
        ("one string", r#""x":""#, "aaaa", "\""),
        ("escapes", r#""x":""#, r"\u00e9", "\""),
        ("a lineage that does not count", r#""x":{"lineage":""#, "aaaa", "\"}"),
        ("a name", r#"""#, "name", r#"":1"#),
        ("a number", r#""x":1"#, "0123", ""),
        ("a million names", r#""x":{"#, r#""k":1,"#, r#""k":2}"#),
        ("elements", r#""x":["#, "0,", "0]"),
        ("the serial again", "", r#""serial":7,"#, r#""serial":7"#),
        ("white space", "", " \n", r#""x":0"#),
        ("objects", r#""x":["#, "[{}],", "0]"),
    ];
    for (name, head, unit, tail) in rows {
        let state = read(&format!("{{{FACTS},{head}"), unit, &format!("{tail}}}"));
        assert_eq!(state.unwrap().serial, 7, "{name}");
    }
    let state = read(r#"{"lineage":""#, "aaaa", "\"}");
    assert_eq!(state, Err(NotAState::TooLong { field: "lineage", offset: 11 }));
    let state = read(r#"{"serial":1"#, "0000", "}");
    assert!(matches!(state, Err(NotAState::WrongType { field: "serial", offset: 10, .. })));
}

fn depth_ends_at_the_limit() {
    for unit in ["[", r#"{"x":"#] {
        let error = read(&format!("{{{FACTS},\"x\":"), unit, "");
        match error {
            Err(NotAState::Syntax(error)) => assert_eq!(error.kind, SyntaxErrorKind::TooDeep),
            other => panic!("{other:?}"),
        }
    }
    // The object itself is the first of the ten thousand.
    let body = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!("{{{FACTS},\"resources\":[{{\"instances\":[{{\"attributes\":{open}{close}}}]}}]}}")
    };
    let deepest = body(10_000 - 4);
    let document = Document::parse(deepest.as_bytes()).unwrap();
    assert!(!Mask::of(&document).apply(deepest.as_bytes()).is_empty());
    let other = deepest.replace("[[]]", "[[0]]");
    let other = Document::parse(other.as_bytes()).unwrap();
    assert_eq!(Diff::of(&document, &other, Show::Masked).changed.len(), 1);
    assert!(Document::parse(body(10_001).as_bytes()).is_err());
}

fn documents_take_what_they_list() {
    let attributes =
        r#""resources":[{"mode":"managed","type":"t","name":"n","instances":[{"attributes":"#;
    let path = r#"[{"type":"get_attr","value":"k"}]"#;
    let rows = [
        ("a long string", format!(r#"{attributes}{{"x":""#), "aaaa", "\"}}]}]"),
        ("elements", format!("{attributes}["), "0,", "0]}]}]"),
        ("names", format!("{attributes}{{"), r#""k":1,"#, r#""k":2}}]}]"#),
        (
            "wrappers",
            format!(r#"{attributes}{{"k":1}},"sensitive_attributes":[{path}],"x":["#),
            r#"{"value":1,"type":0},"#,
            "0]}]}]",
        ),
        (
            "sensitive paths",
            format!(r#"{attributes}{{"k":1}},"sensitive_attributes":["#),
            r#"[{"type":"get_attr","value":"k"}],"#,
            r#"[{"type":"get_attr","value":"k"}]]}]}]"#,
        ),
        ("secrets", format!("{attributes}["), r#"{"token":"hunter2"},"#, "0]}]}]"),
    ];
    for (name, head, unit, tail) in rows {
        let mut body = format!("{{{FACTS},{head}");
        body.push_str(&unit.repeat(BODY_BYTES / unit.len()));
        body.push_str(tail);
        body.push('}');
        let before = peak_memory_bytes();
        let document = Document::parse(body.as_bytes()).unwrap();
        let small = format!("{{{FACTS},{attributes}{{\"x\":1}}}}]}}]}}");
        let small = Document::parse(small.as_bytes()).unwrap();
        assert!(Diff::of(&small, &document, Show::Masked).changed.len() == 1, "{name}");
        let growth = peak_memory_bytes().saturating_sub(before);
        assert!(growth < DOCUMENT_GROWTH_BYTES_MAX, "{name}: {growth} bytes");
    }
    let many =
        format!("{{{FACTS},\"resources\":[{{\"instances\":[{}null]}}]}}", "{},".repeat(1 << 20));
    let error = Document::parse(many.as_bytes()).unwrap_err();
    assert!(matches!(error, DocumentError::TooManyItems { .. }), "{error}");
}
