//! Leads: who is who by phone and e-mail.

use super::samples::{account_id, at, lead, lead_id};
use crate::{
    domain::consent::{ConsentChange, ContactChannel, Standing},
    store::{Store, StoreError},
};

pub(crate) async fn a_phone_number_belongs_to_one_lead_of_an_account(store: &Store) {
    let (first, mut second) = (lead(account_id(1), 1), lead(account_id(1), 2));
    store.leads.create(first.clone()).await.expect("written");
    store.leads.create(second.clone()).await.expect("written");
    second.phone = first.phone.clone();
    let moved = store.leads.update(second.clone()).await;
    assert!(
        matches!(moved, Err(StoreError::Taken { field: "phone" })),
        "{moved:?}"
    );
    second.id = lead_id(3);
    let created = store.leads.create(second.clone()).await;
    assert!(
        matches!(created, Err(StoreError::Taken { field: "phone" })),
        "{created:?}"
    );
    second.account_id = account_id(2);
    store
        .leads
        .create(second)
        .await
        .expect("another account has its own book");
    let mut renamed = first.clone();
    renamed.name = "Ann".to_owned();
    store
        .leads
        .update(renamed.clone())
        .await
        .expect("its own phone is no obstacle");
    assert_eq!(
        store.leads.get(account_id(1), lead_id(1)).await.expect("kept"),
        renamed
    );
    renamed.phone = None;
    store.leads.update(renamed).await.expect("written");
    let phone = first.phone.expect("the sample has one");
    assert_eq!(
        store.leads.by_phone(account_id(1), &phone).await.expect("read"),
        None
    );
}

pub(crate) async fn finding_by_phone_creates_once_even_for_many_at_once(store: &Store) {
    let attempts = (1..=16).map(|number| {
        let (leads, mut caller) = (store.leads.clone(), lead(account_id(1), number));
        caller.phone = "+14155550100".parse().ok();
        tokio::spawn(async move { leads.find_or_create_by_phone(caller).await })
    });
    let mut found = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        found.push(attempt.await.expect("the task ends by itself").expect("written"));
    }
    assert_eq!(found.iter().filter(|(_, created)| *created).count(), 1);
    assert!(found.iter().all(|(lead, _)| *lead == found[0].0));
}

pub(crate) async fn a_lead_is_found_by_email_in_whatever_case_until_it_is_deleted(store: &Store) {
    let first = lead(account_id(1), 1);
    store.leads.create(first.clone()).await.expect("written");
    let found = store
        .leads
        .by_email(account_id(1), " lead1@EXAMPLE.com")
        .await
        .expect("read");
    assert_eq!(found, Some(first));
    store
        .leads
        .delete(account_id(1), lead_id(1))
        .await
        .expect("deleted");
    assert_eq!(
        store
            .leads
            .by_email(account_id(1), "lead1@example.com")
            .await
            .expect("read"),
        None
    );
    assert!(matches!(
        store.leads.delete(account_id(1), lead_id(1)).await,
        Err(StoreError::Missing { .. })
    ));
    assert!(matches!(
        store.leads.update(lead(account_id(1), 1)).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn an_edit_never_lifts_an_opt_out(store: &Store) {
    let mut before = lead(account_id(1), 1);
    store.leads.create(before.clone()).await.expect("written");
    let stop = || {
        store
            .leads
            .change_consent(account_id(1), lead_id(1), ConsentChange::stop(), at(9))
    };
    let (stopped, differs) = stop().await.expect("written");
    assert!(differs && stopped.opted_out && stopped.updated_at == at(9));
    let (_, differs) = stop().await.expect("written");
    assert!(!differs, "once is enough");
    // Somebody read the lead before the STOP and writes it back after it.
    before.name = "Ann".to_owned();
    store.leads.update(before).await.expect("written");
    let after = store.leads.get(account_id(1), lead_id(1)).await.expect("kept");
    assert_eq!(after.name, "Ann");
    assert!(after.opt_out().covers(Some(ContactChannel::Sms)));
    let change = ConsentChange::start();
    let (back, _) = store
        .leads
        .change_consent(account_id(1), lead_id(1), change.clone(), at(10))
        .await
        .expect("written");
    assert!(!back.opted_out && back.consent.sms == Standing::Granted);
    let foreign = store
        .leads
        .change_consent(account_id(2), lead_id(1), change, at(11))
        .await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
}
