//! Resources whose first write was the last thing a process did: their events are heard of, and once.

use crate::{
    app::test_app,
    domain::{
        appointment::Appointment,
        observation::{EventType, Observation},
        resource::{Resource as _, ResourceKind},
    },
    store::{PageRequest, conformance::samples, resources::ResourceRow},
};

/// A row as a process leaves it that dies right after its first write.
fn left_behind(number: u64) -> (Appointment, ResourceRow) {
    let account_id = samples::account_id(1);
    let appointment = samples::appointment(account_id, number);
    let fact = Observation {
        kind: EventType::APPOINTMENT_BOOKED,
        ..samples::observation(account_id, appointment.lead_id, number)
    };
    let row = ResourceRow::first(&appointment).expect("JSON");
    (appointment, row.with_facts(vec![fact]))
}

#[tokio::test]
async fn what_a_crash_left_behind_is_handed_on_once_by_a_look_a_change_a_repeat_or_a_removal() {
    let (app, _folder) = test_app::build().await;
    let (store, resources) = (&app.store, &app.context.resources);
    let account_id = samples::account_id(1);
    let rows: Vec<_> = (1..=4).map(left_behind).collect();
    for (appointment, row) in &rows {
        let lead = samples::lead(
            account_id,
            u64::from(appointment.lead_id == Some(samples::lead_id(1))),
        );
        drop(store.leads.create(lead).await);
        store.resources.create(row.clone()).await.expect("written");
    }
    resources
        .change::<Appointment, crate::store::StoreError>((account_id, rows[0].0.key()), |before| {
            Ok(Some(Appointment {
                title: "Another".to_owned(),
                ..before.clone()
            }))
        })
        .await
        .expect("changed");
    resources.create(rows[1].0.clone()).await.expect("a repeat");
    resources.remove(rows[3].1.address()).await.expect("removed");
    let gone = store.resources.get(rows[3].1.address()).await;
    assert!(gone.is_err(), "{gone:?}");
    resources.recover().await.expect("looked");
    resources.recover().await.expect("looked again");
    let open = store.resources.open(ResourceKind::Appointment, 10).await;
    assert_eq!(open.expect("read"), []);
    for lead in 0..=1 {
        let timeline = store
            .observations
            .timeline(account_id, samples::lead_id(lead), PageRequest::default())
            .await
            .expect("read");
        let expected = rows
            .iter()
            .filter(|(appointment, _)| appointment.lead_id == Some(samples::lead_id(lead)))
            .count();
        assert_eq!(timeline.items.len(), expected, "{:?}", timeline.items);
    }
}
