//! Agreement with `serde_json`, and what holds for any state.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value as Json, json};
use tidelock_tfstate::{Diff, Document, Mask, NotAState, SerialSplice, Show, State, StateReader};

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn any_state()(
        serial: u64,
        lineage: String,
        attributes in prop::collection::vec(any_json(), 0..5),
        outputs in prop::collection::btree_map(any::<String>(), (any_json(), any::<bool>()), 0..4),
        more in any_json(),
    ) -> Json {
        let instances = attributes.iter().enumerate().map(|(index, attributes)| {
            json!({ "index_key": index, "attributes": attributes, "sensitive_attributes": [] })
        });
        let outputs = outputs.into_iter().map(|(name, (value, sensitive))| {
            (name, json!({ "value": value, "type": "dynamic", "sensitive": sensitive }))
        });
        json!({
            "version": 4,
            "serial": serial,
            "lineage": lineage,
            "outputs": outputs.collect::<serde_json::Map<_, _>>(),
            "resources": [{
                "mode": "managed",
                "type": "t",
                "name": "n",
                "instances": instances.collect::<Vec<_>>(),
            }],
            "more": more,
        })
    }
}

const SECRET: &str = "a-secret-of-its-own";

/// One step on the way to the secret.
#[derive(Clone, Debug)]
struct Step {
    member: Option<String>,
    siblings: Vec<Json>,
    is_dynamic: bool,
}

prop_compose! {
    fn any_step()(
        member in prop::option::of(prop::sample::select(vec!["a", "b", "value", "type", "0"])),
        siblings in prop::collection::vec(any_json(), 0..3),
        is_dynamic: bool,
    ) -> Step {
        Step { member: member.map(str::to_owned), siblings, is_dynamic }
    }
}

/// Attributes with the secret at the end of `steps`, and the path there as Terraform writes it.
fn hide(steps: &[Step]) -> (Json, Json) {
    let mut value = Json::from(SECRET);
    let mut path = Vec::new();
    for step in steps.iter().rev() {
        let siblings = step.siblings.clone();
        match &step.member {
            Some(member) => {
                let siblings = siblings.into_iter().enumerate();
                let mut members: serde_json::Map<_, _> =
                    siblings.map(|(at, sibling)| (format!("sibling{at}"), sibling)).collect();
                members.insert(member.clone(), value);
                value = Json::Object(members);
                path.push(json!({ "type": "get_attr", "value": member }));
            }
            None => {
                let index = json!({ "value": siblings.len(), "type": "number" });
                path.push(json!({ "type": "index", "value": index }));
                value = Json::Array(siblings.into_iter().chain([value]).collect());
            }
        }
        if step.is_dynamic {
            value = json!({ "value": value, "type": ["object", { "a": "string" }] });
        }
    }
    path.reverse();
    (value, json!([path]))
}

/// The facts, read in pieces of this length.
fn in_pieces(body: &[u8], piece_bytes: usize) -> Result<State, NotAState> {
    let mut reader = StateReader::new();
    body.chunks(piece_bytes).try_for_each(|piece| reader.push(piece))?;
    reader.finish()
}

proptest! {
    #[test]
    fn facts_are_what_serde_reads(state in any_state(), piece_bytes in 1..64_usize, pretty: bool) {
        let body = match pretty {
            true => serde_json::to_vec_pretty(&state).unwrap(),
            false => serde_json::to_vec(&state).unwrap(),
        };
        let facts = State::parse(&body).unwrap();
        prop_assert_eq!(Some(facts.serial), state["serial"].as_u64());
        prop_assert_eq!(Some(facts.lineage.as_str()), state["lineage"].as_str());
        prop_assert_eq!(in_pieces(&body, piece_bytes).unwrap(), facts);
    }

    #[test]
    fn structure_is_what_serde_reads(state in any_state()) {
        let body = serde_json::to_vec_pretty(&state).unwrap();
        let document = Document::parse(&body).unwrap();
        let instances = state["resources"][0]["instances"].as_array().unwrap().len();
        prop_assert_eq!(document.summary().resources[0].instances.len(), instances);
        let outputs: Vec<_> = document
            .summary()
            .outputs
            .iter()
            .map(|output| (output.name.as_str(), Some(output.sensitive)))
            .collect();
        let expected: Vec<_> = state["outputs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, output)| (name.as_str(), output["sensitive"].as_bool()))
            .collect();
        prop_assert_eq!(outputs, expected);
    }

    #[test]
    fn a_masked_state_is_json_and_hides_outputs(state in any_state()) {
        let body = serde_json::to_vec(&state).unwrap();
        let shown = Mask::of(&Document::parse(&body).unwrap()).apply(&body);
        let shown: Json = serde_json::from_slice(&shown).unwrap();
        for (name, output) in state["outputs"].as_object().unwrap() {
            if output["sensitive"] == true {
                prop_assert_eq!(&shown["outputs"][name]["value"], "(sensitive value)");
            }
        }
        prop_assert_eq!(&shown["serial"], &state["serial"]);
    }

    #[test]
    fn a_secret_is_masked_wherever_it_is(
        steps in prop::collection::vec(any_step(), 0..6),
        broken: bool,
    ) {
        let (attributes, mut paths) = hide(&steps);
        if broken {
            paths[0].as_array_mut().unwrap().push(json!({ "type": "get_attr", "value": "no" }));
        }
        let state = |attributes: &Json| {
            let instance = json!({ "attributes": attributes, "sensitive_attributes": paths });
            let resource = json!({ "type": "t", "name": "n", "instances": [instance] });
            json!({ "version": 4, "serial": 1, "lineage": "l", "resources": [resource] }).to_string()
        };
        let body = state(&attributes);
        let document = Document::parse(body.as_bytes()).unwrap();
        let shown = String::from_utf8(Mask::of(&document).apply(body.as_bytes())).unwrap();
        prop_assert!(!shown.contains(SECRET), "{}", shown);
        let other = body.replace(SECRET, "something-else-then");
        let other = Document::parse(other.as_bytes()).unwrap();
        let diff = Diff::of(&document, &other, Show::Masked);
        prop_assert!(!format!("{diff:?}").contains(SECRET), "{:?}", diff);
        prop_assert_eq!(diff.changed.len(), 1);
    }

    #[test]
    fn a_state_does_not_differ_from_itself(old in any_state(), new in any_state()) {
        let compact = serde_json::to_vec(&old).unwrap();
        let pretty = serde_json::to_vec_pretty(&old).unwrap();
        let (compact, pretty) = (Document::parse(&compact).unwrap(), Document::parse(&pretty).unwrap());
        prop_assert!(Diff::of(&compact, &pretty, Show::Revealed).is_empty());
        let new = serde_json::to_vec(&new).unwrap();
        let new = Document::parse(&new).unwrap();
        let (there, back) =
            (Diff::of(&compact, &new, Show::Revealed), Diff::of(&new, &compact, Show::Revealed));
        prop_assert_eq!(there.added, back.removed);
        prop_assert_eq!(there.removed, back.added);
        prop_assert_eq!(there.changed.len(), back.changed.len());
        prop_assert_eq!(there.outputs.len(), back.outputs.len());
    }

    #[test]
    fn a_splice_changes_the_serial_alone(state in any_state(), serial: u64) {
        let body = serde_json::to_vec_pretty(&state).unwrap();
        let facts = State::parse(&body).unwrap();
        let spliced = SerialSplice::new(&facts, serial).unwrap().apply(&body).unwrap();
        let mut expected: Json = serde_json::from_slice(&body).unwrap();
        expected["serial"] = serial.into();
        prop_assert_eq!(serde_json::from_slice::<Json>(&spliced).unwrap(), expected);
    }

    #[test]
    fn broken_bodies_are_broken_for_both(
        state in any_state(),
        at: prop::sample::Index,
        byte in prop::sample::select(b"{}[]\",:\\ue0-.1tfn \n\x00x".to_vec()),
        insert: bool,
    ) {
        let mut body = serde_json::to_vec(&json!({ "x": state })).unwrap();
        let at = at.index(body.len());
        match insert {
            true => body.insert(at, byte),
            false => body[at] = byte,
        }
        let valid = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
        match State::parse(&body) {
            Err(NotAState::Syntax(_)) => prop_assert!(!valid),
            Ok(_) | Err(NotAState::Missing { .. }) => prop_assert!(valid),
            // Decided before the end of the body.
            Err(_) => {}
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>, piece_bytes in 1..8_usize) {
        prop_assert_eq!(State::parse(&body), in_pieces(&body, piece_bytes));
        prop_assert!(Document::parse(&body).is_err());
    }
}
