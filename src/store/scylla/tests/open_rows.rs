//! The list of open resources: what arrives late takes nothing back.

use std::sync::Arc;

use super::{super::rows::Scylla, opened};
use crate::{
    domain::resource::ResourceKind,
    store::{
        conformance::samples::{account_id, appointment, observation},
        resources::ResourceRow,
    },
};

#[tokio::test]
async fn a_row_that_is_open_again_is_not_struck_off_by_an_earlier_end() {
    let Some(opened) = opened().await else { return };
    let (core, resources) = (&opened.core, &opened.store.resources);
    let scylla = Scylla::new(Arc::clone(&core.db), core.observations.clone());
    let open = async || {
        let rows = resources.open(ResourceKind::Appointment, 10).await;
        rows.expect("read").len()
    };
    let fact = observation(account_id(1), None, 1);
    let first = ResourceRow::first(&appointment(account_id(1), 1)).expect("JSON");
    let first = first.with_facts(vec![fact.clone()]);
    resources.create(first.clone()).await.expect("written");
    assert_eq!(open().await, 1);
    let settled = first.settled();
    resources.replace(settled.clone()).await.expect("written");
    assert_eq!(open().await, 0);
    let again = settled.settled().with_facts(vec![fact]);
    resources.replace(again.clone()).await.expect("written");
    // Of the second write, and late.
    scylla.close(&again, 2).await.expect("written");
    assert_eq!(open().await, 1);
    resources.replace(again.settled()).await.expect("written");
    assert_eq!(open().await, 0);
}
