//! Pages: every row once, whatever arrives meanwhile.

use super::samples::{account_id, alert, lead, run, task, workflow_id};
use crate::store::{PageRequest, Store, StoreError, runs::RunFilter};

pub(crate) async fn a_list_pages_through_everything_once_while_rows_arrive(store: &Store) {
    for number in 10..20 {
        store
            .runs
            .create(run(account_id(1), workflow_id(1), number))
            .await
            .expect("written");
    }
    // Rows of one moment are told apart by id.
    for number in 20..25 {
        let mut append = run(account_id(1), workflow_id(1), number);
        append.head.started_at = super::samples::at(15);
        store.runs.create(append).await.expect("written");
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest {
            limit: 4,
            cursor: cursor.take(),
        };
        let page = store
            .runs
            .list(account_id(1), RunFilter::default(), request)
            .await
            .expect("read");
        assert!(page.items.len() <= 4);
        seen.extend(page.items.into_iter().map(|head| head.id));
        let arriving = u64::try_from(seen.len()).expect("a small list");
        store
            .runs
            .create(run(account_id(1), workflow_id(1), 100 + arriving))
            .await
            .expect("written");
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 15);
    let total = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), total, "no row came twice");
}

pub(crate) async fn a_limit_is_capped_and_a_foreign_cursor_refused(store: &Store) {
    for number in 0..230 {
        store
            .tasks
            .create(task(account_id(1), number))
            .await
            .expect("written");
    }
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    store
        .alerts
        .raise(alert(account_id(1), 1))
        .await
        .expect("written");
    let all = PageRequest {
        limit: 100_000,
        cursor: None,
    };
    let page = store.tasks.list(account_id(1), all).await.expect("read");
    assert_eq!(page.items.len(), 200);
    let rest = PageRequest {
        limit: 200,
        cursor: page.next_cursor.clone(),
    };
    assert_eq!(
        store
            .tasks
            .list(account_id(1), rest.clone())
            .await
            .expect("read")
            .items
            .len(),
        30
    );
    assert!(matches!(
        store.leads.list(account_id(1), rest).await,
        Err(StoreError::BadCursor)
    ));
    let nonsense = PageRequest {
        limit: 1,
        cursor: Some("%%%".to_owned()),
    };
    assert!(matches!(
        store.alerts.list(account_id(1), nonsense).await,
        Err(StoreError::BadCursor)
    ));
}
