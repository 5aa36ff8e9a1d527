//! Accounts, people, sessions, keys, remembered answers.

use super::samples::{account, account_id, at, hash, key, key_id, session, session_id, user, user_id};
use crate::{
    domain::retention::{DAYS_MAX, Retention},
    store::{
        Recorded, Store, StoreError,
        accounts::{Account, RememberedAnswer, RotatedSession, Rotation, Signing},
    },
};

pub(crate) async fn an_account_comes_with_its_owner_or_not_at_all(store: &Store) {
    assert_eq!(store.accounts.first_account().await.expect("read"), None);
    let owner = user(account_id(2), 2);
    store
        .accounts
        .create_account(account(2), owner.clone())
        .await
        .expect("written");
    let mut same_email = user(account_id(1), 1);
    same_email.email = owner.email.clone();
    let refused = store.accounts.create_account(account(1), same_email).await;
    assert!(
        matches!(refused, Err(StoreError::Taken { field: "email" })),
        "{refused:?}"
    );
    assert!(matches!(
        store.accounts.account(account_id(1)).await,
        Err(StoreError::Missing { .. })
    ));
    assert_eq!(
        store.accounts.first_account().await.expect("read"),
        Some(account(2))
    );
    assert_eq!(store.accounts.users(account_id(2)).await.expect("read"), [owner]);
}

pub(crate) async fn an_account_asks_for_consent_as_it_was_last_told(store: &Store) {
    let accounts = &store.accounts;
    for number in [1, 2] {
        let owner = user(account_id(number), number);
        accounts
            .create_account(account(number), owner)
            .await
            .expect("written");
    }
    for require_consent in [true, false, true] {
        accounts
            .set_require_consent(account_id(1), require_consent)
            .await
            .expect("written");
        let told = accounts.account(account_id(1)).await.expect("read");
        assert_eq!(
            told,
            Account {
                require_consent,
                ..account(1)
            }
        );
    }
    assert_eq!(accounts.account(account_id(2)).await.expect("read"), account(2));
    assert!(matches!(
        accounts.set_require_consent(account_id(3), true).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn an_account_keeps_things_for_as_long_as_it_was_last_told(store: &Store) {
    let accounts = &store.accounts;
    for number in [1, 2] {
        let owner = user(account_id(number), number);
        accounts
            .create_account(account(number), owner)
            .await
            .expect("written");
    }
    let some = Retention {
        transcripts_days: Some(30),
        messages_days: None,
        runs_days: Some(DAYS_MAX),
    };
    for retention in [some, Retention::default(), some] {
        accounts
            .set_retention(account_id(1), retention)
            .await
            .expect("written");
        let told = accounts.account(account_id(1)).await.expect("read");
        assert_eq!(
            told,
            Account {
                retention,
                ..account(1)
            }
        );
    }
    // What else is said about the account stands beside it.
    accounts
        .set_require_consent(account_id(1), true)
        .await
        .expect("written");
    let told = accounts.account(account_id(1)).await.expect("read");
    assert_eq!((told.require_consent, told.retention), (true, some));
    assert_eq!(accounts.account(account_id(2)).await.expect("read"), account(2));
    assert!(matches!(
        accounts.set_retention(account_id(3), some).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn an_email_belongs_to_one_user_in_whatever_case(store: &Store) {
    let mut first = user(account_id(1), 1);
    store.accounts.create_user(first.clone()).await.expect("written");
    let mut second = user(account_id(2), 2);
    second.email = "PERSON1@example.com".to_owned();
    let refused = store.accounts.create_user(second).await;
    assert!(
        matches!(refused, Err(StoreError::Taken { field: "email" })),
        "{refused:?}"
    );
    store
        .accounts
        .set_password(user_id(1), "changed".to_owned())
        .await
        .expect("written");
    first.password_hash = "changed".to_owned();
    assert_eq!(
        store
            .accounts
            .user_by_email("Person1@Example.com")
            .await
            .expect("read"),
        Some(first.clone())
    );
    assert_eq!(store.accounts.user(user_id(1)).await.expect("read"), first);
    assert!(matches!(
        store.accounts.set_password(user_id(2), String::new()).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn a_refresh_token_works_once_and_its_reuse_ends_the_session(store: &Store) {
    let first = session(&user(account_id(1), 1), 1);
    store
        .accounts
        .create_session(first.clone())
        .await
        .expect("written");
    let next = |number: u8| RotatedSession {
        at: at(1_000),
        access_hash: hash(number),
        access_until: at(2_000),
        refresh_hash: hash(number + 100),
        refresh_until: at(20_000),
    };
    assert_eq!(
        store
            .accounts
            .rotate_session(hash(99), next(9))
            .await
            .expect("written"),
        Rotation::Unknown
    );
    let rotated = store.accounts.rotate_session(hash(101), next(2)).await;
    let Ok(Rotation::Done(rotated)) = rotated else {
        panic!("the token works: {rotated:?}");
    };
    assert_eq!(
        (rotated.id, rotated.access_hash, rotated.refresh_until),
        (first.id, hash(2), at(20_000))
    );
    assert_eq!(
        store.accounts.session_by_access(hash(1)).await.expect("read"),
        None
    );
    assert_eq!(
        store.accounts.session_by_access(hash(2)).await.expect("read"),
        Some(rotated)
    );
    assert_eq!(
        store
            .accounts
            .rotate_session(hash(101), next(3))
            .await
            .expect("written"),
        Rotation::Reused(first.id)
    );
    assert_eq!(
        store.accounts.session_by_access(hash(2)).await.expect("read"),
        None,
        "reuse ends the session"
    );
    assert_eq!(
        store
            .accounts
            .rotate_session(hash(102), next(4))
            .await
            .expect("written"),
        Rotation::Unknown
    );
}

pub(crate) async fn a_refresh_token_has_an_end(store: &Store) {
    let first = session(&user(account_id(1), 1), 1);
    store
        .accounts
        .create_session(first.clone())
        .await
        .expect("written");
    let late = RotatedSession {
        at: first.refresh_until,
        access_hash: hash(2),
        access_until: at(90_000),
        refresh_hash: hash(102),
        refresh_until: at(90_000),
    };
    assert_eq!(
        store
            .accounts
            .rotate_session(hash(101), late)
            .await
            .expect("written"),
        Rotation::Unknown
    );
    assert_eq!(
        store.accounts.session_by_access(hash(2)).await.expect("read"),
        None
    );
}

pub(crate) async fn sessions_end_one_by_one_by_user_and_by_age(store: &Store) {
    let (ann, ben) = (user(account_id(1), 1), user(account_id(1), 2));
    for (person, number) in [(&ann, 1), (&ann, 2), (&ann, 3), (&ben, 4), (&ben, 5)] {
        store
            .accounts
            .create_session(session(person, number))
            .await
            .expect("written");
    }
    let is_open = async |number: u8| {
        store
            .accounts
            .session_by_access(hash(number))
            .await
            .expect("read")
            .is_some()
    };
    store.accounts.end_session(session_id(1)).await.expect("written");
    assert!(!is_open(1).await && is_open(2).await);
    store.accounts.end_sessions_of(ann.id).await.expect("written");
    assert!(!is_open(2).await && !is_open(3).await && is_open(4).await);
    assert_eq!(
        store.accounts.forget_sessions(at(9_005)).await.expect("written"),
        1
    );
    assert!(!is_open(4).await && is_open(5).await);
}

pub(crate) async fn keys_are_found_by_hash_until_they_are_deleted(store: &Store) {
    let person = user(account_id(1), 1);
    for number in [2, 1] {
        store
            .accounts
            .create_key(key(&person, number))
            .await
            .expect("written");
    }
    assert_eq!(
        store.accounts.key_by_hash(hash(1)).await.expect("read"),
        Some(key(&person, 1))
    );
    assert_eq!(
        store.accounts.keys(account_id(1)).await.expect("read"),
        [key(&person, 1), key(&person, 2)]
    );
    store
        .accounts
        .delete_key(account_id(1), key_id(1))
        .await
        .expect("deleted");
    assert_eq!(store.accounts.key_by_hash(hash(1)).await.expect("read"), None);
    assert!(matches!(
        store.accounts.delete_key(account_id(1), key_id(1)).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn a_signing_secret_is_moved_on_one_by_one(store: &Store) {
    let owner = user(account_id(1), 1);
    store
        .accounts
        .create_account(account(1), owner)
        .await
        .expect("written");
    let read = async || store.accounts.account(account_id(1)).await.expect("read").signing;
    assert_eq!(read().await, Signing::default());
    for number in 1..=2 {
        let name = |number: u32| format!("key {number}");
        let expected = Signing {
            number,
            rotated_at: Some(at(u64::from(number))),
            key: Some(name(number)),
            previous_key: (number > 1).then(|| name(number - 1)),
        };
        let moved = store
            .accounts
            .rotate_signing(account_id(1), name(number), at(u64::from(number)))
            .await;
        assert_eq!(moved.expect("written").signing, expected);
        assert_eq!(read().await, expected);
    }
    assert!(matches!(
        store
            .accounts
            .rotate_signing(account_id(2), "key 1".to_owned(), at(3))
            .await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn the_first_answer_under_a_key_stays_until_it_is_forgotten(store: &Store) {
    let answer = |status: u16| RememberedAnswer {
        account_id: account_id(1),
        key: "k".to_owned(),
        request_hash: hash(1),
        status,
        body: "{}".to_owned(),
        at: at(10),
    };
    assert_eq!(
        store
            .accounts
            .remember_answer(answer(202))
            .await
            .expect("written"),
        Recorded::Fresh
    );
    assert_eq!(
        store
            .accounts
            .remember_answer(answer(500))
            .await
            .expect("written"),
        Recorded::Duplicate
    );
    assert_eq!(
        store
            .accounts
            .remembered_answer(account_id(1), "k")
            .await
            .expect("read"),
        Some(answer(202))
    );
    assert_eq!(store.accounts.forget_answers(at(10)).await.expect("written"), 0);
    assert_eq!(store.accounts.forget_answers(at(11)).await.expect("written"), 1);
    assert_eq!(
        store
            .accounts
            .remembered_answer(account_id(1), "k")
            .await
            .expect("read"),
        None
    );
}
