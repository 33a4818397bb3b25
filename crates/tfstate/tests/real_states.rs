//! States that Terraform 1.11.4 wrote (`tests/states`), and one each of the older formats.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidelock_tfstate::{
    Check, CheckStatus, Counts, Diff, Document, DocumentError, Mask, SerialSplice, Show, State,
    Value,
};

const BEFORE: &[u8] = include_bytes!("states/before.tfstate");
const AFTER: &[u8] = include_bytes!("states/after.tfstate");
const TAINTED: &[u8] = include_bytes!("states/tainted.tfstate");
const FORMAT_3: &[u8] = include_bytes!("states/format3.tfstate");
const DEPOSED: &[u8] = include_bytes!("states/deposed.tfstate");

fn document(body: &[u8]) -> Document<'_> {
    Document::parse(body).unwrap()
}

fn addresses(document: &Document<'_>) -> Vec<String> {
    let resources = document.summary().resources.iter();
    resources
        .flat_map(|resource| {
            resource.instances.iter().map(|instance| resource.instance_address(instance))
        })
        .collect()
}

#[test]
fn a_summary_names_everything() {
    let document = document(BEFORE);
    assert_eq!(
        addresses(&document),
        [
            "data.terraform_remote_state.self",
            "terraform_data.counted[0]",
            "terraform_data.counted[1]",
            "terraform_data.each[\"a\"]",
            "terraform_data.each[\"b\"]",
            "terraform_data.each_odd[\"$${x}\"]",
            "terraform_data.each_odd[\"a.b/c\\\"d\"]",
            "terraform_data.gone[0]",
            "terraform_data.mail",
            "terraform_data.one",
            "terraform_data.secret",
            "module.net[\"eu\"].terraform_data.subnet[0]",
            "module.net[\"eu\"].terraform_data.subnet[1]",
            "module.net[\"eu\"].module.inner.terraform_data.leaf",
        ]
    );
    let summary = document.summary();
    assert_eq!(summary.state.terraform_version.as_deref(), Some("1.11.4"));
    assert_eq!(summary.resources[1].provider, r#"provider["terraform.io/builtin/terraform"]"#);
    let outputs: Vec<_> =
        summary.outputs.iter().map(|output| (&*output.name, output.sensitive)).collect();
    assert_eq!(
        outputs,
        [("object", false), ("password_of", true), ("rev", false), ("secret", true)]
    );
    assert_eq!(
        summary.counts(),
        Counts { managed: 13, data: 1, outputs: 4, sensitive_outputs: 2, ..Counts::default() }
    );
    let fine = Check {
        kind: "check".to_owned(),
        address: "check.fine".to_owned(),
        status: CheckStatus::Pass,
        objects: vec![("check.fine".to_owned(), CheckStatus::Pass)],
    };
    assert!(summary.checks.contains(&fine));
}

#[test]
fn tainted_and_deposed_are_counted() {
    let counts = document(TAINTED).summary().counts();
    assert_eq!((counts.tainted, counts.deposed), (1, 0));
    let counts = document(DEPOSED).summary().counts();
    assert_eq!((counts.tainted, counts.deposed, counts.managed), (0, 1, 1));
}

#[test]
fn a_diff_is_what_the_apply_did() {
    let (before, after) = (document(BEFORE), document(AFTER));
    let diff = Diff::of(&before, &after, Show::Masked);
    let names = |list: &[tidelock_tfstate::InstanceAddress]| {
        list.iter().map(|instance| instance.address.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&diff.added), [r#"terraform_data.each["c"]"#]);
    assert_eq!(names(&diff.removed), [r#"terraform_data.each["a"]"#, "terraform_data.gone[0]"]);
    let counted =
        &diff.changed.iter().find(|change| change.address.address == "terraform_data.counted[0]");
    let paths: Vec<_> =
        counted.unwrap().attributes.iter().map(|change| change.path.clone()).collect();
    assert_eq!(paths, ["input.value", "output.value"]);
    let change = &counted.unwrap().attributes[0];
    assert_eq!(change.old, Some(Value::Json("1".to_owned())));
    assert_eq!(change.new, Some(Value::Json("2".to_owned())));
    let masked = diff.outputs.iter().find(|output| output.name == "secret").unwrap();
    assert_eq!((&masked.old, &masked.new), (&Some(Value::Masked), &Some(Value::Masked)));
    assert!(diff.outputs.iter().any(|output| output.name == "rev"));
    assert!(!diff.is_cut);
    assert!(Diff::of(&before, &document(BEFORE), Show::Masked).is_empty());
}

#[test]
fn taint_and_deposed_objects_are_changes() {
    let diff = Diff::of(&document(AFTER), &document(TAINTED), Show::Masked);
    assert_eq!(diff.changed.len(), 1);
    assert_eq!(diff.changed[0].tainted, Some((false, true)));
    assert_eq!(diff.changed[0].address.address, "terraform_data.counted[1]");
    let without = String::from_utf8(DEPOSED.to_vec()).unwrap().replace("deadbeef", "0badcafe");
    let diff = Diff::of(&document(DEPOSED), &document(without.as_bytes()), Show::Masked);
    assert_eq!(diff.removed[0].deposed.as_deref(), Some("deadbeef"));
    assert_eq!(diff.added[0].deposed.as_deref(), Some("0badcafe"));
    assert_eq!(diff.changed, []);
}

#[test]
fn no_secret_is_shown() {
    for body in [BEFORE, AFTER, TAINTED, FORMAT_3] {
        let document = document(body);
        let shown = String::from_utf8(Mask::of(&document).apply(body)).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok());
        assert!(!shown.contains("hunter"), "{shown}");
        let diff = Diff::of(&self::document(BEFORE), &document, Show::Masked);
        let text = format!("{diff:?}{}", serde_json::to_string(&diff).unwrap());
        assert!(!text.contains("hunter"), "{text}");
        let summary = format!("{:?}", document.summary());
        assert!(!summary.contains("hunter"), "{summary}");
    }
    let revealed = Diff::of(&document(BEFORE), &document(AFTER), Show::Revealed);
    assert!(format!("{revealed:?}").contains("hunter3"));
}

#[test]
fn what_is_not_secret_is_shown() {
    let shown = Mask::of(&document(BEFORE)).apply(BEFORE);
    let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
    let secret =
        shown["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == "secret");
    let attributes = &secret.unwrap()["instances"][0]["attributes"];
    assert_eq!(attributes["input"]["value"]["user"], "admin");
    assert_eq!(attributes["input"]["value"]["password"], "(sensitive value)");
    assert_eq!(attributes["input"]["value"]["nested"]["keys"][0], "(sensitive value)");
    assert_eq!(attributes["input"]["value"]["nested"]["keys"][1], "open");
    assert_eq!(attributes["input"]["type"][1]["password"], "string");
    // A copy that Terraform does not mark.
    assert_eq!(attributes["output"]["value"]["nested"]["keys"][0], "(sensitive value)");
    assert_eq!(shown["outputs"]["rev"]["value"], 1);
}

#[test]
fn format_3_is_read() {
    let document = document(FORMAT_3);
    assert_eq!(
        addresses(&document),
        [
            "data.aws_ami.ubuntu",
            "aws_instance.web[0]",
            "aws_instance.web[1]",
            "aws_instance.web[1]",
            "module.db.module.disk.aws_ebs_volume.data",
        ]
    );
    let counts = document.summary().counts();
    let expected = Counts {
        managed: 3,
        data: 1,
        deposed: 1,
        tainted: 1,
        outputs: 2,
        sensitive_outputs: 1,
        failed_checks: 0,
    };
    assert_eq!(counts, expected);
}

#[test]
fn instances_and_outputs_give_the_bytes_they_are_made_of() {
    let rows: [(&[u8], &str, &str); 5] = [
        (BEFORE, "terraform_data.counted[1]", "\"index_key\": 1"),
        (AFTER, "terraform_data.each[\"c\"]", "\"index_key\": \"c\""),
        (TAINTED, "terraform_data.counted[1]", "\"status\": \"tainted\""),
        (DEPOSED, "terraform_data.mail", "\"deposed\": \"deadbeef\""),
        (FORMAT_3, "module.db.module.disk.aws_ebs_volume.data", "\"id\": \"vol-1\""),
    ];
    for (body, wanted, inside) in rows {
        let document = document(body);
        let found: Vec<_> = document
            .instances()
            .map(|(resource, instance, bytes)| (resource.instance_address(instance), bytes))
            .collect();
        let listed: Vec<_> = found.iter().map(|(address, _)| address.clone()).collect();
        assert_eq!(listed, addresses(&document));
        for (address, bytes) in &found {
            assert!(bytes.starts_with(b"{") && bytes.ends_with(b"}"), "{address}");
        }
        let of_wanted = found.iter().filter(|(address, _)| address == wanted);
        let texts: Vec<_> = of_wanted.map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
        assert!(texts.iter().any(|text| text.contains(inside)), "{wanted}: {texts:?}");
    }
    let before = document(BEFORE);
    let outputs: Vec<_> = before.outputs().map(|(output, value)| (&*output.name, value)).collect();
    assert_eq!(outputs[2], ("rev", b"1".as_slice()));
    assert_eq!(outputs[3].0, "secret");
    assert!(!outputs[3].1.is_empty());
    let state = br#"{"version":4,"serial":1,"lineage":"l","outputs":{"a":{"sensitive":true}}}"#;
    let valueless: Vec<_> = document(state).outputs().map(|(_, value)| value.len()).collect();
    assert_eq!(valueless, [0]);
}

#[test]
fn a_module_of_format_3_cannot_name_itself_a_million_times() {
    let body = |path: &str, resources: usize| {
        let resources: Vec<_> = (0..resources).map(|at| format!(r#""a.b{at}":{{}}"#)).collect();
        let resources = resources.join(",");
        format!(
            r#"{{"version":3,"serial":1,"lineage":"l","modules":[{{"path":["root",{path}],"resources":{{{resources}}}}}]}}"#
        )
    };
    let step = format!("\"{}\"", "a".repeat(8 << 10));
    let two_steps = [step.as_str(), &step].join(",");
    assert!(Document::parse(body(&step, 8_000).as_bytes()).is_ok());
    let error = Document::parse(body(&step, 9_000).as_bytes()).unwrap_err();
    assert!(matches!(error, DocumentError::TooManyItems { .. }), "{error}");
    let error = Document::parse(body(&two_steps, 1).as_bytes()).unwrap_err();
    assert!(matches!(error, DocumentError::NotAName { .. }), "{error}");
}

#[test]
fn what_cannot_be_read_whole_says_why() {
    let sealed = br#"{"serial":3,"lineage":"l","encryption_version":"v0"}"#;
    assert_eq!(Document::parse(sealed).unwrap_err(), DocumentError::Encrypted);
    let future = br#"{"serial":3,"lineage":"l","version":5}"#;
    assert_eq!(Document::parse(future).unwrap_err(), DocumentError::UnknownFormat { version: 5 });
}

#[test]
fn a_spliced_state_differs_in_its_serial_alone() {
    let state = State::parse(BEFORE).unwrap();
    let spliced = SerialSplice::new(&state, 1_000).unwrap().apply(BEFORE).unwrap();
    assert_eq!(State::parse(&spliced).unwrap().serial, 1_000);
    assert!(Diff::of(&document(BEFORE), &document(&spliced), Show::Revealed).is_empty());
    let old = String::from_utf8(BEFORE.to_vec()).unwrap();
    let digits = format!("\"serial\": {},", state.serial);
    assert_eq!(spliced, old.replacen(&digits, "\"serial\": 1000,", 1).into_bytes());
}
