//! Groups of users: who is in them, what that lets them do, and what others do at the same moment.

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::{Fixture, Interrupted};
use tidelock_meta::record::{group, user};
use tidelock_meta::{MetaStore as _, ReadLevel};
use tidelock_store::*;

/// More reads than any of the operations below makes.
const READS_MAX: usize = 12;

/// A rule, the name of a group, its policies, and why there cannot be one.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<IdentityError>);

fn named(policies: &[(&str, &str)]) -> Vec<(String, String)> {
    policies.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

async fn with_ann() -> (Fixture, String) {
    let fixture = Fixture::new().await;
    fixture.store.create_user(&fixture.root, "ann").await.unwrap();
    let key = fixture.store.create_access_key(&fixture.root, "ann", None).await.unwrap();
    (fixture, key.key.access_key_id)
}

#[tokio::test]
async fn groups_that_there_cannot_be() {
    let (Fixture { store, root, .. }, _) = with_ann().await;
    let long = "n".repeat(129);
    let large = "x".repeat(POLICIES_BYTES_MAX + 1);
    let rows: [Row<'_>; 7] = [
        ("good", "ops", &[("p", "{}")], None),
        ("again", "ops", &[], Some(IdentityError::GroupExists)),
        ("no name", "", &[], Some(IdentityError::InvalidGroupName)),
        ("a path", "a/b", &[], Some(IdentityError::InvalidGroupName)),
        ("a long name", &long, &[], Some(IdentityError::InvalidGroupName)),
        ("a policy twice", "a", &[("p", ""), ("p", "")], Some(IdentityError::InvalidPolicyName)),
        ("large", "a", &[("p", &large)], Some(IdentityError::TooManyPolicies)),
    ];
    for (rule, name, policies, refusal) in rows {
        let made = store.create_group(&root, name, named(policies)).await;
        assert_eq!(made.err(), refusal, "{rule}");
    }
    for number in 1..GROUPS_MAX {
        store.create_group(&root, &format!("g{number}"), Vec::new()).await.unwrap();
    }
    let more = store.create_group(&root, "more", Vec::new()).await;
    assert_eq!(more.err(), Some(IdentityError::TooManyGroups));
    for number in 1..=GROUPS_PER_USER_MAX {
        store.add_user_to_group(&root, (&format!("g{number}"), "ann")).await.unwrap();
    }
    let rows = [
        ("one too many", ("ops", "ann"), Err(IdentityError::TooManyGroupsOfUser)),
        ("a member already", ("g1", "ann"), Ok(())),
        ("no user", ("ops", "bob"), Err(IdentityError::NoSuchUser)),
        ("no group", ("none", "ann"), Err(IdentityError::NoSuchGroup)),
    ];
    for (rule, member, expected) in rows {
        assert_eq!(store.add_user_to_group(&root, member).await, expected, "{rule}");
    }
    let removed = store.remove_user_from_group(&root, ("ops", "ann")).await;
    assert_eq!(removed, Err(IdentityError::NotAMember));
    let nobody = Principal { is_root: false, ..Principal::root() };
    let refused = [
        store.create_group(&nobody, "x", Vec::new()).await.err(),
        store.list_groups(&nobody).await.err(),
        store.get_group(&nobody, "ops").await.err(),
        store.delete_group(&nobody, "ops").await.err(),
        store.add_user_to_group(&nobody, ("ops", "ann")).await.err(),
        store.remove_user_from_group(&nobody, ("g1", "ann")).await.err(),
        store.put_group_policy(&nobody, "ops", ("p", "{}")).await.err(),
        store.delete_group_policy(&nobody, "ops", "p").await.err(),
        store.list_group_policies(&nobody, "ops").await.err(),
        store.get_user(&nobody, "ann").await.err(),
    ];
    assert!(refused.iter().all(|it| *it == Some(IdentityError::AccessDenied)), "{refused:?}");
}

#[tokio::test]
async fn policies_of_groups_are_there_with_the_next_request() {
    let (Fixture { store, root, .. }, key) = with_ann().await;
    let canonical_id = store.get_user(&root, "ann").await.unwrap().canonical_id;
    let subject = SessionSubject::User { name: "ann".to_owned(), canonical_id };
    let session = store.issue_session(NewSession::of(subject, Duration::from_secs(900))).unwrap();
    let policies = async || {
        let by_key = store.credentials(&key).await.unwrap().unwrap();
        let (id, token) = (&session.access_key_id, &session.session_token);
        let in_session = store.session_credentials(id, token).await.unwrap().unwrap();
        let found = by_key.principal.entitlement.policies.clone();
        assert_eq!(in_session.principal.entitlement.policies, found);
        found
    };
    store.create_group(&root, "ops", Vec::new()).await.unwrap();
    store.create_group(&root, "dev", named(&[("d", "2")])).await.unwrap();
    store.add_user_to_group(&root, ("ops", "ann")).await.unwrap();
    assert!(policies().await.is_empty(), "a group without policies narrows nobody");
    store.add_user_to_group(&root, ("dev", "ann")).await.unwrap();
    store.put_group_policy(&root, "ops", ("b", "4")).await.unwrap();
    store.put_group_policy(&root, "ops", ("a", "0")).await.unwrap();
    store.put_group_policy(&root, "ops", ("a", "3")).await.unwrap();
    store.put_user_policy(&root, "ann", ("own", "1")).await.unwrap();
    assert_eq!(policies().await, ["1", "2", "3", "4"]);
    assert_eq!(store.get_user(&root, "ann").await.unwrap().groups, ["dev", "ops"]);
    store.delete_group_policy(&root, "ops", "a").await.unwrap();
    let missing = store.delete_group_policy(&root, "ops", "a").await;
    assert_eq!(missing, Err(IdentityError::NoSuchPolicy));
    assert_eq!(store.list_group_policies(&root, "ops").await.unwrap(), named(&[("b", "4")]));
    store.remove_user_from_group(&root, ("dev", "ann")).await.unwrap();
    assert_eq!(policies().await, ["1", "4"]);
}

#[tokio::test]
async fn a_group_lives_as_long_as_it_has_members() {
    let (Fixture { store, root, .. }, key) = with_ann().await;
    store.create_user(&root, "bob").await.unwrap();
    store.create_group(&root, "ops", named(&[("p", "1")])).await.unwrap();
    for name in ["bob", "ann"] {
        store.add_user_to_group(&root, ("ops", name)).await.unwrap();
    }
    let group = store.get_group(&root, "ops").await.unwrap();
    assert_eq!(group.members, ["ann", "bob"]);
    assert_eq!(group.arn, "arn:aws:iam::000000000000:group/ops");
    assert_eq!(store.list_groups(&root).await.unwrap(), [group]);
    store.remove_user_from_group(&root, ("ops", "bob")).await.unwrap();
    assert_eq!(store.delete_group(&root, "ops").await, Err(IdentityError::GroupInUse));
    // A user leaves their groups when they are deleted, and is in none when they are made anew.
    store.delete_access_key(&root, &key).await.unwrap();
    store.delete_user(&root, "ann").await.unwrap();
    assert!(store.create_user(&root, "ann").await.unwrap().groups.is_empty());
    assert!(store.get_group(&root, "ops").await.unwrap().members.is_empty());
    store.delete_group(&root, "ops").await.unwrap();
    assert_eq!(store.delete_group(&root, "ops").await, Err(IdentityError::NoSuchGroup));
}

#[tokio::test]
async fn a_group_that_gets_a_member_while_it_is_deleted_stays_or_has_none() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        let (store, root) = (&fixture.store, &fixture.root);
        store.create_user(root, "ann").await.unwrap();
        store.create_group(root, "ops", Vec::new()).await.unwrap();
        let other = fixture.clone();
        engine.before_read(read, async move {
            drop(other.store.add_user_to_group(&other.root, ("ops", "ann")).await);
        });
        let deleted = store.delete_group(root, "ops").await;
        let groups = store.get_user(root, "ann").await.unwrap().groups;
        let is_there = store.get_group(root, "ops").await.is_ok();
        assert_eq!((deleted.is_err(), is_there || groups.is_empty()), (is_there, true), "{read}");
    }
}

#[tokio::test]
async fn nobody_comes_into_a_group_that_is_deleted_at_this_moment() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        let (store, root) = (&fixture.store, &fixture.root);
        store.create_user(root, "ann").await.unwrap();
        store.create_group(root, "ops", Vec::new()).await.unwrap();
        let other = fixture.clone();
        engine.before_read(read, async move {
            drop(other.store.delete_group(&other.root, "ops").await);
        });
        let added = store.add_user_to_group(root, ("ops", "ann")).await;
        let is_there = store.get_group(root, "ops").await.is_ok();
        let is_in = !store.get_user(root, "ann").await.unwrap().groups.is_empty();
        assert_eq!((added.is_ok(), is_in), (is_there, is_there), "{read}: {added:?}");
    }
}

/// Puts the group that there is out of the way, and another one, which allows more, in its place.
async fn make_group_anew(fixture: Arc<Fixture>) {
    let (store, root) = (&fixture.store, &fixture.root);
    if store.remove_user_from_group(root, ("ops", "ann")).await.is_ok() {
        store.delete_group(root, "ops").await.unwrap();
        store.create_group(root, "ops", named(&[("p", "new")])).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_has_the_policies_of_a_group_that_was_made_anew() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        let (store, root) = (&fixture.store, &fixture.root);
        store.create_user(root, "ann").await.unwrap();
        let key = store.create_access_key(root, "ann", None).await.unwrap().key.access_key_id;
        store.create_group(root, "ops", named(&[("p", "old")])).await.unwrap();
        store.add_user_to_group(root, ("ops", "ann")).await.unwrap();
        engine.before_read(read, make_group_anew(fixture.clone()));
        let known = store.credentials(&key).await.unwrap().unwrap();
        let policies = &known.principal.entitlement.policies;
        assert!(policies.is_empty() || policies == &["old"], "before read {read}: {policies:?}");
    }
}

#[tokio::test]
async fn a_group_that_is_lost_lets_nobody_of_it_in() {
    let (fixture, key) = with_ann().await;
    let (store, root) = (&fixture.store, &fixture.root);
    store.create_group(root, "ops", named(&[("p", "1")])).await.unwrap();
    store.add_user_to_group(root, ("ops", "ann")).await.unwrap();
    let keys = [user::key("ann"), group::key("ops")];
    let rows = fixture.meta.get(&keys, ReadLevel::Latest).await.unwrap();
    let mut batch = tidelock_meta::Batch::new(tidelock_meta::OpId([7; 16]));
    batch.expect(keys[1].clone(), rows[1].as_ref());
    batch.delete(keys[1].clone());
    fixture.meta.commit(batch).await.unwrap();
    let found = store.credentials(&key).await;
    assert!(matches!(found, Err(StorageError::Corrupt(_))), "{found:?}");
}
