//! Changes to an account's people, and what they are signed in with.

use super::samples::{account, account_id, at, hash, key, session, session_id, user, user_id};
use crate::{
    domain::totp::SecondFactor,
    store::{
        Store, StoreError,
        accounts::{Role, Session, Staffing, User, UserChange},
    },
};

fn to_role(role: Role) -> UserChange {
    UserChange {
        name: None,
        role: Some(role),
        at: at(20_000),
    }
}

fn person(number: u64, role: Role) -> User {
    User {
        role,
        ..user(account_id(1), number)
    }
}

/// Account 1 with these people, the first its owner.
async fn staffed(store: &Store, people: &[User]) {
    let (owner, others) = people.split_first().expect("an account has an owner");
    store
        .accounts
        .create_account(account(1), owner.clone())
        .await
        .expect("written");
    for other in others {
        store.accounts.create_user(other.clone()).await.expect("written");
    }
}

pub(crate) async fn sessions_are_listed_by_person_and_found_in_their_account(store: &Store) {
    let (ann, ben) = (user(account_id(1), 1), user(account_id(1), 2));
    let at_moment = |person: &User, number: u8| Session {
        created_at: at(u64::from(number)),
        ..session(person, number)
    };
    for (person, number) in [(&ann, 2), (&ann, 3), (&ann, 1), (&ben, 4)] {
        store
            .accounts
            .create_session(at_moment(person, number))
            .await
            .expect("written");
    }
    let listed = async |person: &User| store.accounts.sessions_of(person.id).await.expect("read");
    assert_eq!(
        listed(&ann).await,
        [at_moment(&ann, 3), at_moment(&ann, 2), at_moment(&ann, 1)]
    );
    store.accounts.end_session(session_id(2)).await.expect("written");
    assert_eq!(listed(&ann).await, [at_moment(&ann, 3), at_moment(&ann, 1)]);
    assert_eq!(
        store
            .accounts
            .session(account_id(1), session_id(4))
            .await
            .expect("read"),
        at_moment(&ben, 4)
    );
    for (account, gone) in [(account_id(2), session_id(4)), (account_id(1), session_id(2))] {
        let missing = store.accounts.session(account, gone).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    }
}

pub(crate) async fn a_change_to_a_person_keeps_everything_else(store: &Store) {
    let (owner, agent) = (person(1, Role::Owner), person(2, Role::Agent));
    staffed(store, &[owner.clone(), agent.clone()]).await;
    let accounts = &store.accounts;
    let named = UserChange {
        name: Some("Bea".to_owned()),
        role: None,
        at: at(20_000),
    };
    let mut expected = User {
        name: "Bea".to_owned(),
        ..agent
    };
    let changed = accounts.change_user(account_id(1), user_id(2), named).await;
    assert_eq!(changed.expect("written"), Staffing::Changed(expected.clone()));
    let changed = accounts
        .change_user(account_id(1), user_id(2), to_role(Role::Admin))
        .await;
    expected.role = Role::Admin;
    assert_eq!(changed.expect("written"), Staffing::Changed(expected.clone()));
    assert_eq!(
        accounts.users(account_id(1)).await.expect("read"),
        [owner, expected]
    );
    for (account, id) in [(account_id(2), user_id(2)), (account_id(1), user_id(3))] {
        let missing = accounts.change_user(account, id, to_role(Role::Agent)).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
        let missing = accounts.delete_user(account, id, at(20_000)).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    }
}

pub(crate) async fn a_second_factor_is_changed_by_whoever_has_read_it(store: &Store) {
    staffed(store, &[person(1, Role::Owner)]).await;
    let accounts = &store.accounts;
    let factor = |used_step| {
        Some(SecondFactor {
            sealed: "sealed".to_owned(),
            is_confirmed: true,
            used_step,
            recovery: vec!["one".to_owned()],
        })
    };
    let set = async |before, next| {
        accounts
            .set_second_factor(user_id(1), before, next)
            .await
            .expect("written")
    };
    assert!(set(None, factor(1)).await);
    assert!(!set(None, factor(2)).await, "it is another one by now");
    let (one, other) = tokio::join!(set(factor(1), factor(2)), set(factor(1), factor(3)));
    assert!(one ^ other, "of two at once one is too late");
    let kept = accounts.user(user_id(1)).await.expect("read");
    assert_eq!(kept.second_factor, factor(if one { 2 } else { 3 }));
    let expected = User {
        second_factor: kept.second_factor.clone(),
        ..person(1, Role::Owner)
    };
    assert_eq!(kept, expected, "everything else stays");
    assert!(set(kept.second_factor, None).await);
}

pub(crate) async fn an_account_keeps_an_owner(store: &Store) {
    staffed(store, &[person(1, Role::Owner), person(2, Role::Agent)]).await;
    let accounts = &store.accounts;
    let account = account_id(1);
    let refused = accounts
        .change_user(account, user_id(1), to_role(Role::Admin))
        .await;
    assert_eq!(refused.expect("answered"), Staffing::LastOwner);
    let refused = accounts.delete_user(account, user_id(1), at(20_000)).await;
    assert_eq!(refused.expect("answered"), Staffing::LastOwner);
    assert_eq!(
        accounts.user(user_id(1)).await.expect("read"),
        person(1, Role::Owner)
    );
    let same = accounts
        .change_user(account, user_id(1), to_role(Role::Owner))
        .await;
    assert_eq!(same.expect("written"), Staffing::Changed(person(1, Role::Owner)));
    let promoted = accounts
        .change_user(account, user_id(2), to_role(Role::Owner))
        .await;
    assert_eq!(
        promoted.expect("written"),
        Staffing::Changed(person(2, Role::Owner))
    );
    let left = accounts.delete_user(account, user_id(1), at(20_000)).await;
    assert_eq!(left.expect("written"), Staffing::Changed(person(1, Role::Owner)));
    assert_eq!(
        accounts.users(account).await.expect("read"),
        [person(2, Role::Owner)]
    );
}

pub(crate) async fn of_two_owners_who_leave_at_once_one_stays(store: &Store) {
    staffed(store, &[person(1, Role::Owner), person(2, Role::Owner)]).await;
    let accounts = &store.accounts;
    let (one, other) = tokio::join!(
        accounts.change_user(account_id(1), user_id(1), to_role(Role::Agent)),
        accounts.delete_user(account_id(1), user_id(2), at(20_000)),
    );
    for outcome in [one, other] {
        // Whoever came second is refused, or told to come again.
        assert!(matches!(outcome, Ok(_) | Err(StoreError::Busy)), "{outcome:?}");
    }
    let people = accounts.users(account_id(1)).await.expect("read");
    let owners = people.iter().filter(|person| person.role == Role::Owner).count();
    assert!(owners >= 1, "{people:?}");
}

pub(crate) async fn a_person_who_is_removed_leaves_nothing_that_opens(store: &Store) {
    let (owner, agent) = (person(1, Role::Owner), person(2, Role::Agent));
    staffed(store, &[owner.clone(), agent.clone()]).await;
    let accounts = &store.accounts;
    for (person, number) in [(&owner, 1), (&agent, 2), (&agent, 3)] {
        accounts
            .create_session(session(person, number))
            .await
            .expect("written");
        accounts.create_key(key(person, number)).await.expect("written");
    }
    let removed = accounts.delete_user(account_id(1), agent.id, at(20_000)).await;
    assert_eq!(removed.expect("written"), Staffing::Changed(agent.clone()));
    assert!(matches!(
        accounts.user(agent.id).await,
        Err(StoreError::Missing { .. })
    ));
    for (number, opens) in [(1, true), (2, false), (3, false)] {
        let session = accounts.session_by_access(hash(number)).await.expect("read");
        let key = accounts.key_by_hash(hash(number)).await.expect("read");
        assert_eq!((session.is_some(), key.is_some()), (opens, opens), "{number}");
    }
    assert_eq!(
        accounts.keys(account_id(1)).await.expect("read"),
        [key(&owner, 1)]
    );
    assert_eq!(accounts.user_by_email(&agent.email).await.expect("read"), None);
    let again = User {
        id: user_id(3),
        ..agent
    };
    accounts
        .create_user(again.clone())
        .await
        .expect("the e-mail is free again");
    assert_eq!(accounts.users(account_id(1)).await.expect("read"), [owner, again]);
}
