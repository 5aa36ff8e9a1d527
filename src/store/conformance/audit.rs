//! The audit log.

use serde_json::json;

use super::samples::{account_id, at, user_id};
use crate::{
    domain::{
        audit::{Actor, Deed, Details},
        ids::AccountId,
    },
    store::{PageRequest, Store, StoreError, audit::AuditFilter},
};

fn deed(account_id: AccountId, number: u64) -> Deed {
    Deed {
        account_id,
        at: at(number),
        actor: Actor::User {
            user_id: user_id(number % 2),
        },
        action: "updateLead".to_owned(),
        subject: Some(format!("lead_{}", number % 3)),
        about: Vec::new(),
        request_id: None,
        address: None,
    }
}

fn details(number: u64) -> Details {
    Details {
        salt: number.to_string(),
        before: None,
        after: Some(json!({"name": format!("Ann {number}")})),
    }
}

async fn write(store: &Store, account: AccountId, entries: u64) {
    for number in 1..=entries {
        let row = store
            .audit
            .append(deed(account, number), details(number))
            .await
            .expect("written");
        assert_eq!(row.seq, number);
    }
}

pub(crate) async fn entries_are_numbered_and_chained_in_their_account(store: &Store) {
    let (one, other) = (account_id(1), account_id(2));
    write(store, one, 7).await;
    write(store, other, 2).await;
    let (chain, fault) = store.audit.verify(one).await.expect("read");
    assert_eq!((chain.entries, chain.erased, fault), (7, 0, None));
    let newest = store.audit.before(one, u64::MAX, 3).await.expect("read");
    assert_eq!(newest.iter().map(|row| row.seq).collect::<Vec<_>>(), [7, 6, 5]);
    assert_eq!(chain.head, newest[0].hash);
    let oldest = store.audit.after(one, 2, 2).await.expect("read");
    assert_eq!(oldest.iter().map(|row| row.seq).collect::<Vec<_>>(), [3, 4]);
    let (chain, fault) = store.audit.verify(account_id(3)).await.expect("read");
    assert_eq!((chain.entries, fault), (0, None));
}

pub(crate) async fn of_many_entries_at_once_each_has_its_number(store: &Store) {
    let mut writing = tokio::task::JoinSet::new();
    for number in 0..12 {
        let store = store.clone();
        writing.spawn(async move {
            // Whoever meets too many others is told to come again.
            loop {
                match store
                    .audit
                    .append(deed(account_id(1), number), details(number))
                    .await
                {
                    Err(StoreError::Busy) => tokio::task::yield_now().await,
                    written => return written.map(|row| row.seq),
                }
            }
        });
    }
    let mut numbers = Vec::new();
    while let Some(written) = writing.join_next().await {
        numbers.push(written.expect("no panic").expect("written"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    let (chain, fault) = store.audit.verify(account_id(1)).await.expect("read");
    assert_eq!((chain.entries, fault), (12, None));
}

pub(crate) async fn a_log_is_paged_through_by_filter(store: &Store) {
    write(store, account_id(1), 9).await;
    let filter = AuditFilter {
        about: vec!["lead_1".to_owned(), "lead_of_nobody".to_owned()],
        ..AuditFilter::default()
    };
    let page = |cursor| PageRequest { limit: 2, cursor };
    let first = store.audit.page(account_id(1), &filter, page(None)).await;
    let first = first.expect("read");
    assert_eq!(first.items.iter().map(|row| row.seq).collect::<Vec<_>>(), [7, 4]);
    let next = store
        .audit
        .page(account_id(1), &filter, page(first.next_cursor))
        .await;
    let next = next.expect("read");
    assert_eq!(next.items.iter().map(|row| row.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(next.next_cursor, None);
    for (filter, found) in [
        (
            AuditFilter {
                user_id: Some(user_id(1)),
                ..AuditFilter::default()
            },
            5,
        ),
        (
            AuditFilter {
                since: Some(at(3)),
                until: Some(at(5)),
                ..AuditFilter::default()
            },
            2,
        ),
        (
            AuditFilter {
                action: Some("deleteLead".to_owned()),
                ..AuditFilter::default()
            },
            0,
        ),
    ] {
        let page = store
            .audit
            .page(account_id(1), &filter, PageRequest::default())
            .await;
        assert_eq!(page.expect("read").items.len(), found, "{filter:?}");
    }
    let wrong = store
        .audit
        .page(account_id(1), &filter, page(Some("x".to_owned())))
        .await;
    assert!(matches!(wrong, Err(StoreError::BadCursor)), "{wrong:?}");
    let strangers = store
        .audit
        .page(account_id(2), &AuditFilter::default(), PageRequest::default())
        .await;
    assert_eq!(strangers.expect("read").items, []);
}

pub(crate) async fn details_are_erased_and_the_chain_holds(store: &Store) {
    write(store, account_id(1), 9).await;
    let erased = store
        .audit
        .erase_about(account_id(1), "lead_1")
        .await
        .expect("erased");
    assert_eq!(erased, 3);
    let again = store
        .audit
        .erase_about(account_id(1), "lead_1")
        .await
        .expect("erased");
    assert_eq!(again, 0);
    let rows = store.audit.after(account_id(1), 0, 50).await.expect("read");
    for row in &rows {
        assert_eq!(row.details.is_none(), row.is_about("lead_1"), "{row:?}");
    }
    let (chain, fault) = store.audit.verify(account_id(1)).await.expect("read");
    assert_eq!((chain.entries, chain.erased, fault), (9, 3, None));
    write_one_more(store).await;
}

/// What was erased is still the one before the next.
async fn write_one_more(store: &Store) {
    let next = store
        .audit
        .append(deed(account_id(1), 10), details(10))
        .await
        .expect("written");
    assert_eq!(next.seq, 10);
    store.audit.adopt(next).await.expect("it is there");
    let (chain, fault) = store.audit.verify(account_id(1)).await.expect("read");
    assert_eq!((chain.entries, fault), (10, None));
}
