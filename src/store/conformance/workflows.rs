//! Workflows: drafts by revision, versions for ever.

use super::samples::{account_id, version, workflow, workflow_id};
use crate::store::{Store, StoreError};

pub(crate) async fn an_edit_carries_the_revision_it_read(store: &Store) {
    let mut row = workflow(account_id(1), 1);
    store.workflows.create(row.clone(), None).await.expect("written");
    assert!(matches!(
        store.workflows.create(row.clone(), None).await,
        Err(StoreError::Taken { .. })
    ));
    let stale = store.workflows.update(row.clone(), None).await;
    assert!(
        matches!(stale, Err(StoreError::Moved { revision: 1, .. })),
        "{stale:?}"
    );
    row.revision = 2;
    row.name = "Edited".to_owned();
    store.workflows.update(row.clone(), None).await.expect("written");
    assert_eq!(
        store
            .workflows
            .get(account_id(1), workflow_id(1))
            .await
            .expect("kept"),
        row
    );
}

pub(crate) async fn a_published_version_never_changes_and_outlives_its_workflow(store: &Store) {
    let mut row = workflow(account_id(1), 1);
    store
        .workflows
        .create(row.clone(), Some(version(row.id, 1)))
        .await
        .expect("written");
    row.revision = 2;
    row.name = "Not this".to_owned();
    let mut changed = version(row.id, 1);
    changed.definition = "{}".to_owned();
    assert!(matches!(
        store.workflows.update(row.clone(), Some(changed)).await,
        Err(StoreError::Taken { .. })
    ));
    let kept = store.workflows.get(account_id(1), row.id).await.expect("kept");
    assert_eq!(kept.revision, 1, "the edit that carried it is undone whole");
    row.published = 2;
    store
        .workflows
        .update(row.clone(), Some(version(row.id, 2)))
        .await
        .expect("written");
    let versions = store
        .workflows
        .versions(account_id(1), row.id)
        .await
        .expect("read");
    assert_eq!(versions, [version(row.id, 2), version(row.id, 1)]);
    store
        .workflows
        .delete(account_id(1), row.id)
        .await
        .expect("deleted");
    assert!(matches!(
        store.workflows.get(account_id(1), row.id).await,
        Err(StoreError::Missing { .. })
    ));
    assert_eq!(
        store
            .workflows
            .version(row.id, 1)
            .await
            .expect("runs still need it"),
        version(row.id, 1)
    );
    assert!(matches!(
        store.workflows.version(row.id, 3).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn only_enabled_and_published_workflows_are_triggered(store: &Store) {
    let live = workflow(account_id(1), 1);
    let mut disabled = workflow(account_id(1), 2);
    disabled.enabled = false;
    let mut draft = workflow(account_id(1), 3);
    draft.published = 0;
    let mut other_trigger = workflow(account_id(1), 4);
    other_trigger.trigger = "manual".to_owned();
    let also_live = workflow(account_id(1), 0);
    for row in [&live, &disabled, &draft, &other_trigger, &also_live] {
        store.workflows.create(row.clone(), None).await.expect("written");
    }
    let triggered = store
        .workflows
        .triggered_by(account_id(1), "call.no_answer")
        .await
        .expect("read");
    assert_eq!(triggered, [also_live.clone(), live.clone()]);
    let mut off = live;
    (off.enabled, off.revision) = (false, 2);
    store.workflows.update(off, None).await.expect("written");
    let triggered = store
        .workflows
        .triggered_by(account_id(1), "call.no_answer")
        .await
        .expect("read");
    assert_eq!(triggered, [also_live]);
}
