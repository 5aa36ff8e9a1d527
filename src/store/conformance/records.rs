//! Alerts, tasks and messages: single rows that happen once.

use super::samples::{account_id, alert, alert_id, at, message, message_id, task, task_id, user_id};
use crate::{
    domain::{message::MessageStatus, task::TaskStatus},
    store::{Recorded, Store, StoreError},
};

pub(crate) async fn an_alert_is_raised_and_acknowledged_once(store: &Store) {
    assert_eq!(
        store
            .alerts
            .raise(alert(account_id(1), 1))
            .await
            .expect("written"),
        Recorded::Fresh
    );
    let mut again = alert(account_id(1), 1);
    again.title = "Not this".to_owned();
    assert_eq!(
        store.alerts.raise(again).await.expect("written"),
        Recorded::Duplicate
    );
    let (first, fresh) = store
        .alerts
        .acknowledge(account_id(1), alert_id(1), user_id(1), at(50))
        .await
        .expect("written");
    let (second, repeated) = store
        .alerts
        .acknowledge(account_id(1), alert_id(1), user_id(2), at(60))
        .await
        .expect("written");
    assert_eq!((fresh, repeated), (Recorded::Fresh, Recorded::Duplicate));
    assert_eq!((first.acked_by, first.acked_at), (Some(user_id(1)), Some(at(50))));
    assert_eq!(first, second);
    let stored = store.alerts.get(account_id(1), alert_id(1)).await.expect("kept");
    assert_eq!(stored.title, "Alert 1");
    assert_eq!(stored, first);
    let noted = store
        .alerts
        .annotate(account_id(1), alert_id(1), Some("called back".to_owned()));
    let noted = noted.await.expect("written");
    assert_eq!(
        (noted.note.as_deref(), noted.acked_by),
        (Some("called back"), Some(user_id(1)))
    );
    assert_eq!(
        store.alerts.get(account_id(1), alert_id(1)).await.expect("kept"),
        noted
    );
    let ghost = store.alerts.annotate(account_id(1), alert_id(2), None).await;
    assert!(matches!(ghost, Err(StoreError::Missing { .. })));
    let ghost = store
        .alerts
        .acknowledge(account_id(1), alert_id(2), user_id(1), at(50))
        .await;
    assert!(matches!(ghost, Err(StoreError::Missing { .. })));
}

pub(crate) async fn a_task_is_created_once_and_replaced_whole(store: &Store) {
    let mut first = task(account_id(1), 1);
    assert_eq!(
        store.tasks.create(first.clone()).await.expect("written"),
        Recorded::Fresh
    );
    assert_eq!(
        store.tasks.create(first.clone()).await.expect("written"),
        Recorded::Duplicate
    );
    (first.status, first.done_at) = (TaskStatus::Done, Some(at(90)));
    store.tasks.update(first.clone()).await.expect("written");
    assert_eq!(
        store.tasks.get(account_id(1), task_id(1)).await.expect("kept"),
        first
    );
    assert!(matches!(
        store.tasks.update(task(account_id(1), 2)).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn a_message_is_tied_to_the_first_id_it_is_given(store: &Store) {
    let mut placed = message(account_id(1), 1);
    placed.provider_id = None;
    store.messages.record(placed.clone()).await.expect("written");
    let bind = async |id: &str| store.messages.bind(placed.id, id.to_owned(), at(9)).await;
    assert_eq!(bind("CA1").await.expect("written"), "CA1");
    assert_eq!(bind("CA2").await.expect("read"), "CA1");
    assert_eq!(bind("CA1").await.expect("read"), "CA1");
    let found = store.messages.by_provider_id(account_id(1), "CA1").await;
    assert_eq!(found.expect("read").map(|found| found.id), Some(placed.id));
    let missing = store.messages.bind(message_id(9), "CA3".to_owned(), at(9)).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
}

pub(crate) async fn a_message_never_moves_back(store: &Store) {
    let id = message_id(1);
    store
        .messages
        .record(message(account_id(1), 1))
        .await
        .expect("written");
    assert_eq!(
        store
            .messages
            .record(message(account_id(1), 1))
            .await
            .expect("written"),
        Recorded::Duplicate
    );
    let sid = Some("SM1".to_owned());
    let steps = [
        (MessageStatus::Queued, sid.clone(), Recorded::Fresh),
        (MessageStatus::Queued, sid.clone(), Recorded::Duplicate),
        (MessageStatus::Delivered, None, Recorded::Fresh),
        (MessageStatus::Sent, None, Recorded::Duplicate),
        (MessageStatus::Delivered, None, Recorded::Duplicate),
    ];
    for (status, provider_id, expected) in steps {
        let recorded = store
            .messages
            .progress(id, status, provider_id, None, at(9))
            .await
            .expect("written");
        assert_eq!(recorded, expected, "{status:?}");
    }
    let found = store
        .messages
        .by_provider_id(account_id(1), "SM1")
        .await
        .expect("read")
        .expect("known by it");
    assert_eq!(
        (found.id, found.status, found.provider_id),
        (id, MessageStatus::Delivered, sid)
    );
    assert_eq!(found.updated_at, at(9));
    let ghost = store
        .messages
        .progress(message_id(2), MessageStatus::Sent, None, None, at(9))
        .await;
    assert!(matches!(ghost, Err(StoreError::Missing { .. })));
}
