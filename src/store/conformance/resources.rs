//! Resources: whole bodies under a revision, found by group and state.

use super::samples::{account_id, appointment, at, observation};
use crate::{
    domain::{
        appointment::{Appointment, AppointmentStatus},
        resource::ResourceKind,
    },
    store::{
        PageRequest, Recorded, Store, StoreError,
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
    },
};

fn row(number: u64) -> ResourceRow {
    ResourceRow::first(&appointment(account_id(1), number)).expect("JSON")
}

fn address(number: u64) -> ResourceAddress {
    row(number).address()
}

pub(crate) async fn a_resource_is_made_once_and_replaced_in_turn(store: &Store) {
    let resources = &store.resources;
    let first = row(1);
    assert_eq!(
        resources.create(first.clone()).await.expect("written"),
        Recorded::Fresh
    );
    let mut again = first.clone();
    again.state = "cancelled".to_owned();
    assert_eq!(
        resources.create(again).await.expect("written"),
        Recorded::Duplicate
    );
    assert_eq!(resources.get(address(1)).await.expect("kept"), first);
    let cancelled = Appointment {
        status: AppointmentStatus::Cancelled,
        ..first.read().expect("an appointment")
    };
    let second = first.next(&cancelled).expect("JSON");
    resources.replace(second.clone()).await.expect("written");
    let late = resources.replace(second.clone()).await;
    assert!(matches!(late, Err(StoreError::Moved { .. })), "{late:?}");
    assert_eq!(resources.get(address(1)).await.expect("kept"), second);
    let ghost = resources.replace(row(2)).await;
    assert!(matches!(ghost, Err(StoreError::Missing { .. })), "{ghost:?}");
    resources.delete(address(1)).await.expect("deleted");
    for gone in [
        resources.delete(address(1)).await.err(),
        resources.get(address(1)).await.err(),
        resources.replace(second.settled()).await.err(),
    ] {
        assert!(matches!(gone, Some(StoreError::Missing { .. })), "{gone:?}");
    }
}

pub(crate) async fn resources_are_listed_by_group_and_state_as_they_stand(store: &Store) {
    let resources = &store.resources;
    for number in 1..=6 {
        resources.create(row(number)).await.expect("written");
    }
    let (one, other) = (row(1).group, row(2).group);
    assert_ne!(one, other, "even and odd ones have a lead each");
    for number in [1, 2] {
        let stored = row(number);
        let missed = Appointment {
            status: AppointmentStatus::NoShow,
            ..stored.read().expect("an appointment")
        };
        resources
            .replace(stored.next(&missed).expect("JSON"))
            .await
            .expect("written");
    }
    let list = async |group, state: Option<&str>| {
        let filter = ResourceFilter {
            kind: ResourceKind::Appointment,
            group,
            state: state.map(str::to_owned),
        };
        let (mut times, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: 2, cursor };
            let page = resources
                .list(account_id(1), filter.clone(), page)
                .await
                .expect("read");
            times.extend(page.items.into_iter().map(|row| row.at));
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => break times,
            }
        }
    };
    assert_eq!(list(None, None).await, [6, 5, 4, 3, 2, 1].map(at));
    assert_eq!(list(one, None).await, [5, 3, 1].map(at));
    assert_eq!(list(None, Some("no_show")).await, [2, 1].map(at));
    assert_eq!(list(other, Some("booked")).await, [6, 4].map(at));
    assert_eq!(list(other, Some("no_show")).await, [2].map(at));
    resources.delete(address(2)).await.expect("deleted");
    assert_eq!(list(other, Some("no_show")).await, []);
    assert_eq!(list(other, None).await, [6, 4].map(at));
}

pub(crate) async fn a_resource_is_open_until_nothing_is_left_to_do(store: &Store) {
    let resources = &store.resources;
    let fact = observation(account_id(1), None, 1);
    let open = row(1).with_facts(vec![fact]);
    resources.create(open.clone()).await.expect("written");
    resources.create(row(2)).await.expect("written");
    let found = async |kind| resources.open(kind, 10).await.expect("read");
    assert_eq!(
        found(ResourceKind::Appointment).await,
        std::slice::from_ref(&open)
    );
    assert_eq!(found(ResourceKind::Quote).await, []);
    resources.replace(open.settled()).await.expect("written");
    assert_eq!(found(ResourceKind::Appointment).await, []);
    let again = open.settled().settled().with_facts(open.facts);
    resources.replace(again.clone()).await.expect("written");
    assert_eq!(
        found(ResourceKind::Appointment).await,
        std::slice::from_ref(&again)
    );
    let kept = resources.delete_done(address(1)).await.expect("asked");
    assert_eq!(kept, Some(again), "something is left to do");
    assert_eq!(resources.delete_done(address(2)).await.expect("deleted"), None);
    let gone = resources.delete_done(address(2)).await;
    assert!(matches!(gone, Err(StoreError::Missing { .. })), "{gone:?}");
    resources.delete(address(1)).await.expect("deleted");
    assert_eq!(found(ResourceKind::Appointment).await, []);
}
