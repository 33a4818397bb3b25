//! Roles, policies of users, and what a session rests on.

use std::time::Duration;

use crate::fixture::Fixture;
use tidelock_store::*;

const DOCUMENT: &str = "{}";

fn role(name: &str) -> NewRole {
    NewRole {
        name: name.to_owned(),
        trust_policy: DOCUMENT.to_owned(),
        policies: vec![("p".to_owned(), DOCUMENT.to_owned())],
        session_max_s: 3_600,
    }
}

#[tokio::test]
async fn roles_that_there_cannot_be() {
    let fixture = Fixture::new().await;
    let policies = |texts: Vec<(&str, usize)>| {
        texts.into_iter().map(|(name, bytes)| (name.to_owned(), "x".repeat(bytes))).collect()
    };
    let many = (0..11).map(|number| (number.to_string(), String::new())).collect();
    let rows = [
        ("good", role("ci"), true),
        ("no name", role(""), false),
        ("a path", role("a/b"), false),
        ("a long name", role(&"n".repeat(65)), false),
        ("a short term", NewRole { session_max_s: 3_599, ..role("a") }, false),
        ("a long term", NewRole { session_max_s: 43_201, ..role("a") }, false),
        ("trust", NewRole { trust_policy: "x".repeat(8_193), ..role("a") }, false),
        ("one twice", NewRole { policies: policies(vec![("a", 1), ("a", 1)]), ..role("a") }, false),
        ("large", NewRole { policies: policies(vec![("a", 10_241)]), ..role("a") }, false),
        ("many", NewRole { policies: many, ..role("a") }, false),
        ("again", role("ci"), false),
    ];
    for (rule, new, expected) in rows {
        let made = fixture.store.create_role(&fixture.root, new).await;
        assert_eq!(made.is_ok(), expected, "{rule}: {made:?}");
    }
    let nobody = Principal { is_root: false, ..Principal::root() };
    let denied = fixture.store.create_role(&nobody, role("x")).await;
    assert!(matches!(denied, Err(IdentityError::AccessDenied)), "{denied:?}");
    assert!(fixture.store.list_roles(&nobody).await.is_err());
    assert!(fixture.store.delete_role(&nobody, "ci").await.is_err());
    assert!(fixture.store.put_user_policy(&nobody, "ann", ("p", DOCUMENT)).await.is_err());
}

#[tokio::test]
async fn policies_of_users_are_there_with_the_next_request() {
    let Fixture { store, root, .. } = Fixture::new().await;
    store.create_user(&root, "ann").await.unwrap();
    let key = store.create_access_key(&root, "ann", None).await.unwrap().key.access_key_id;
    let policies = async || {
        let known = store.credentials(&key).await.unwrap().unwrap();
        known.principal.entitlement.policies.clone()
    };
    assert!(policies().await.is_empty());
    store.put_user_policy(&root, "ann", ("b", "2")).await.unwrap();
    store.put_user_policy(&root, "ann", ("a", "0")).await.unwrap();
    store.put_user_policy(&root, "ann", ("a", "1")).await.unwrap();
    assert_eq!(policies().await, ["1", "2"]);
    store.delete_user_policy(&root, "ann", "a").await.unwrap();
    let missing = store.delete_user_policy(&root, "ann", "a").await;
    assert!(matches!(missing, Err(IdentityError::NoSuchPolicy)), "{missing:?}");
    assert_eq!(store.list_user_policies(&root, "ann").await.unwrap().len(), 1);
    assert_eq!(policies().await, ["2"]);
}

#[tokio::test]
async fn a_session_ends_with_what_it_rests_on() {
    let Fixture { store, root, clock, .. } = Fixture::new().await;
    let user = store.create_user(&root, "ann").await.unwrap();
    let made = store.create_role(&root, role("ci")).await.unwrap();
    let term = Duration::from_secs(900);
    let (arn, id) = (made.arn.clone(), made.id.clone());
    let of_role = SessionSubject::Role { arn, id, session_name: "s".to_owned() };
    let canonical_id = user.canonical_id.clone();
    let of_user = SessionSubject::User { name: "ann".to_owned(), canonical_id };
    let sessions = [of_role, of_user, SessionSubject::Root]
        .map(|subject| store.issue_session(NewSession::of(subject, term)).unwrap());
    let arns = async || {
        let mut arns = Vec::new();
        for session in &sessions {
            let (id, token) = (&session.access_key_id, &session.session_token);
            let found = store.session_credentials(id, token).await.unwrap();
            arns.push(found.map(|found| found.principal.arn.to_string()));
        }
        arns
    };
    let of_role = Ok("arn:aws:sts::000000000000:assumed-role/ci/s".to_owned());
    let invalid = Err(SessionError::Invalid);
    assert_eq!(arns().await, [of_role, Ok(user.arn), Ok(ROOT_ARN.to_owned())]);
    // Made anew under their names, they are others.
    store.delete_role(&root, "ci").await.unwrap();
    store.create_role(&root, role("ci")).await.unwrap();
    store.delete_user(&root, "ann").await.unwrap();
    store.create_user(&root, "ann").await.unwrap();
    assert_eq!(arns().await, [invalid.clone(), invalid, Ok(ROOT_ARN.to_owned())]);
    clock.advance(term);
    assert_eq!(arns().await[2], Err(SessionError::Expired));
}

#[tokio::test]
async fn in_a_role_nothing_is_owned() {
    let Fixture { store, root, .. } = Fixture::new().await;
    let made = store.create_role(&root, role("ci")).await.unwrap();
    let (arn, id) = (made.arn.clone(), made.id.clone());
    let subject = SessionSubject::Role { arn, id, session_name: "s".to_owned() };
    let new = NewSession::of(subject, Duration::from_secs(900));
    let session = store.issue_session(new).unwrap();
    let found = store.session_credentials(&session.access_key_id, &session.session_token).await;
    let principal = found.unwrap().unwrap().principal;
    assert!(!principal.is_root && !principal.is_owner(&root.canonical_id));
    assert!(store.bucket(&principal, &"bucket".parse().unwrap()).await.is_err());
    let page = store.list_buckets(&principal, "", None, 10, false).await.unwrap();
    assert!(page.buckets.is_empty());
}
