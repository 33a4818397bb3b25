//! The server decides as the policies say: thousands of generated requests, sent for real, against an
//! evaluator that was written separately and against what `tidelock policy test` says of them.

mod generated;
#[path = "../../../../auth/tests/policy/reference.rs"]
mod reference;
mod wire;
mod world;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tidelock_auth::policy::{
    ConditionKeys, Policies, Policy, PolicyKind, Request, Requester, decide,
};

use generated::{calls, rules};
use reference::{Asked, Case};
use world::World;

/// Sets of policies; each is asked about [`CALLS_OF_RULES`] times.
const RULES: usize = 100;
const CALLS_OF_RULES: usize = 100;

#[tokio::test]
async fn the_server_decides_as_policy_test_does() {
    let mut runner = TestRunner::deterministic();
    let (all_rules, all_calls) = (rules(), calls());
    let mut world = World::new().await;
    let mut allowed = 0;
    for number in 0..RULES {
        let rules = all_rules.new_tree(&mut runner).unwrap().current();
        world.rule(&rules).await;
        for place in 0..CALLS_OF_RULES {
            let call = all_calls.new_tree(&mut runner).unwrap().current();
            let mut may = true;
            for asked in wire::needs(&call, world.tags()) {
                let case = world::case(&rules, &call, asked);
                let expected = reference::decide(&case) == Some(true);
                assert_eq!(policy_test(&case, &call.who), expected, "{case:#?}");
                may &= expected;
            }
            let answer = world.send(&call).await;
            let is_refused = wire::is_refused(&call, &answer);
            let shown = format!("{number}/{place}: {call:#?}\n{rules:#?}\n{answer:#?}");
            assert_eq!(!is_refused, may, "{shown}");
            world.remember(&call, &answer);
            allowed += usize::from(may);
        }
    }
    let share = allowed * 100 / (RULES * CALLS_OF_RULES);
    assert!((30..=70).contains(&share), "{share} % are allowed: too many requests are alike");
}

/// What `tidelock policy test` says of a case: it reads the same documents and asks the same function.
fn policy_test(case: &Case, who: &world::Who) -> bool {
    let read = |document: &Value, kind| Policy::parse(&document.to_string(), kind).unwrap();
    let of_identity = |documents: &[Value]| -> Vec<Policy> {
        documents.iter().map(|document| read(document, PolicyKind::Identity)).collect()
    };
    let identity = of_identity(&case.identity);
    let session = case.session.as_deref().map(of_identity);
    let kind = PolicyKind::Bucket { bucket: world::BUCKET };
    let bucket = case.bucket.as_ref().map(|document| read(document, kind));
    let identity: Vec<&Policy> = identity.iter().collect();
    let session: Option<Vec<&Policy>> = session.as_ref().map(|it| it.iter().collect());
    let Asked { arn, action, resource, keys } = &case.asked;
    let requester = match arn {
        None => Requester::Anonymous,
        Some(arn) => {
            let role = who.is_in_role().then_some(world::ROLE_ARN);
            Requester::Known { account: world::ACCOUNT, arn, role, canonical_id: "" }
        }
    };
    let pairs = keys.iter().flat_map(|(key, values)| values.iter().map(move |it| (key, it)));
    let keys: ConditionKeys = pairs.collect();
    let policies = Policies {
        is_owner: case.is_owner,
        identity: &identity,
        bucket: bucket.as_ref(),
        session: session.as_deref(),
    };
    decide(&policies, &Request { requester, action, resource, keys: &keys }).is_allowed()
}
