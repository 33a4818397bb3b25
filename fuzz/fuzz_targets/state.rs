//! Any state body at all, in any pieces: never panics, is JSON exactly if `serde_json` says so, a
//! splice changes the serial alone, and a mask leaves JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tidelock_tfstate::{
    Diff, Document, Mask, NotAState, SerialSplice, Show, State, StateReader, SyntaxErrorKind,
};

// The first byte says how long the pieces are and how much of a state is given; the rest is JSON.
fuzz_target!(|input: &[u8]| {
    let Some((&shape, rest)) = input.split_first() else { return };
    let whole;
    let body = match shape & 3 {
        0 => rest,
        1 => {
            whole = surround(b"", rest, b"");
            &whole
        }
        2 => {
            let attributes = br#","resources":[{"instances":[{"sensitive_attributes":[[{"type":"get_attr","value":"a"}]],"attributes":"#;
            whole = surround(attributes, rest, b"}]}]");
            &whole
        }
        _ => {
            whole = surround(br#","x":"#, rest, b"");
            &whole
        }
    };
    let facts = State::parse(body);
    assert_eq!(facts, in_pieces(body, usize::from(shape >> 2) + 1));
    agree(body, &facts);
    let Ok(facts) = facts else {
        assert!(Document::parse(body).is_err());
        return;
    };
    if let Ok(splice) = SerialSplice::new(&facts, u64::from(shape) << 40) {
        let spliced = splice.apply(body).unwrap();
        let again = State::parse(&spliced).unwrap();
        assert_eq!(again.serial, u64::from(shape) << 40);
        assert_eq!((again.lineage, again.format), (facts.lineage, facts.format));
    }
    let Ok(document) = Document::parse(body) else { return };
    let shown = Mask::of(&document).apply(body);
    assert!(serde_json::from_slice::<IgnoredAny>(&shown).is_ok());
    assert!(Diff::of(&document, &document, Show::Masked).is_empty());
    document.summary().counts();
});

fn surround(head: &[u8], rest: &[u8], tail: &[u8]) -> Vec<u8> {
    [br#"{"version":4,"serial":7,"lineage":"l""#, head, rest, tail, b"}"].concat()
}

fn in_pieces(body: &[u8], piece_bytes: usize) -> Result<State, NotAState> {
    let mut reader = StateReader::new();
    body.chunks(piece_bytes).try_for_each(|piece| reader.push(piece))?;
    reader.finish()
}

fn agree(body: &[u8], facts: &Result<State, NotAState>) {
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    match facts {
        Ok(_) | Err(NotAState::Missing { .. }) => assert!(is_json),
        Err(NotAState::Syntax(error)) => {
            assert!(!is_json || error.kind == SyntaxErrorKind::TooDeep);
        }
        // Decided before the end of the body.
        Err(_) => {}
    }
}
