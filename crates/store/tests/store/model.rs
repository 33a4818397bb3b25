//! Random histories of one bucket against a model so plain that it is right: a list of versions a key.

use std::collections::BTreeMap;

use crate::fixture::Fixture;
use proptest::prelude::*;
use tidelock_store::*;

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, body: u8 },
    Delete { key: u8 },
    DeleteVersion { key: u8, which: usize },
    DeleteNull { key: u8 },
    SetVersioning { enabled: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..3_u8;
    prop_oneof![
        5 => (key.clone(), any::<u8>()).prop_map(|(key, body)| Step::Put { key, body }),
        2 => key.clone().prop_map(|key| Step::Delete { key }),
        2 => (key.clone(), 0..4_usize).prop_map(|(key, which)| Step::DeleteVersion { key, which }),
        1 => key.prop_map(|key| Step::DeleteNull { key }),
        1 => any::<bool>().prop_map(|enabled| Step::SetVersioning { enabled }),
    ]
}

/// Versions of a key, newest first: id, and the body unless it is a delete marker.
type Versions = Vec<(DisplayVersion, Option<u8>)>;

#[derive(Default)]
struct Model {
    keys: BTreeMap<String, Versions>,
    versioning: Option<bool>,
}

impl Model {
    fn push(&mut self, key: &str, version: DisplayVersion, body: Option<u8>) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if version.is_null {
            versions.retain(|(version, _)| !version.is_null);
        }
        versions.insert(0, (version, body));
    }
}

async fn play(steps: &[Step]) {
    let fixture = Fixture::new().await;
    let mut model = Model::default();
    for step in steps {
        apply(&fixture, &mut model, step).await;
        compare(&fixture, &model).await;
    }
}

async fn apply(fixture: &Fixture, model: &mut Model, step: &Step) {
    match step {
        Step::Put { key, body } => {
            let key = format!("key{key}");
            let stored = fixture.put(&key, vec![*body]).await;
            assert_eq!(stored.version.is_null, model.versioning != Some(true));
            model.push(&key, stored.version, Some(*body));
        }
        Step::Delete { key } => {
            let key = format!("key{key}");
            let deleted = fixture.delete(&key, None).await;
            match (model.versioning, deleted.version) {
                (None, None) => drop(model.keys.remove(&key)),
                (Some(_), Some(marker)) => model.push(&key, marker, None),
                other => panic!("{other:?}"),
            }
        }
        Step::DeleteVersion { key, which } => {
            let key = format!("key{key}");
            let Some(versions) = model.keys.get_mut(&key) else { return };
            if *which < versions.len() {
                let (version, body) = versions.remove(*which);
                let deleted =
                    fixture.delete(&key, Some(version.to_string().parse().unwrap())).await;
                assert_eq!(deleted.is_delete_marker, body.is_none());
            }
        }
        Step::DeleteNull { key } => {
            let key = format!("key{key}");
            fixture.delete(&key, Some(VersionSelector::Null)).await;
            if let Some(versions) = model.keys.get_mut(&key) {
                versions.retain(|(version, _)| !version.is_null);
            }
        }
        Step::SetVersioning { enabled } => {
            let versioning = if *enabled { Versioning::Enabled } else { Versioning::Suspended };
            fixture.set_versioning(versioning).await;
            model.versioning = Some(*enabled);
        }
    }
}

async fn compare(fixture: &Fixture, model: &Model) {
    let mut expected = Vec::new();
    for (key, versions) in &model.keys {
        for (index, (version, body)) in versions.iter().enumerate() {
            expected.push((key.clone(), *version, index == 0, body.is_some()));
            if let Some(body) = body {
                let selector = version.to_string().parse().unwrap();
                assert_eq!(fixture.get_range(key, Some(selector), None).await.unwrap(), [*body]);
            }
        }
        let current = versions.first().and_then(|(_, body)| *body);
        assert_eq!(fixture.get(key).await.ok(), current.map(|body| vec![body]));
    }
    for limit in [1, 2, 1000] {
        let listed: Vec<_> = fixture
            .versions(limit)
            .await
            .into_iter()
            .map(|it| (it.key, it.version, it.is_latest, it.object.is_some()))
            .collect();
        assert_eq!(listed, expected, "page size {limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories(steps in proptest::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(play(&steps));
    }
}
