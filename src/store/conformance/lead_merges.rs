//! Duplicates of leads: found by their e-mail address, merged into one lead, and found as that lead afterwards.

use super::samples::{account_id, at, by_hand, lead, lead_id, observation_id, run, run_id, workflow_id};
use crate::{
    domain::{
        consent::{ConsentChange, ContactChannel},
        ids::LeadId,
        lead::{EditBy, KeyedEdit, Lead, LeadChange, LeadEdit, MergeRefusal, ScoreChange},
        observation::{EventType, Observation},
        phone::PhoneNumber,
    },
    store::{
        PageRequest, Store, StoreError, kin,
        leads::SAME_EMAIL_MAX,
        runs::{RunFilter, RunHead},
    },
};

fn phone(number: u64) -> PhoneNumber {
    lead(account_id(1), number).phone.expect("samples have one")
}

async fn merged(store: &Store, kept: u64, duplicate: u64) -> Lead {
    let merged = store
        .leads
        .merge(account_id(1), lead_id(kept), lead_id(duplicate), at(50))
        .await;
    merged.expect("written").expect("there is room")
}

pub(crate) async fn a_merged_duplicate_is_found_as_the_lead_that_was_kept(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    for number in 1..=3 {
        leads.create(lead(account, number)).await.expect("written");
    }
    let kept = merged(store, 1, 2).await;
    assert_eq!(kept.ids(), [lead_id(1), lead_id(2)]);
    assert_eq!(kept.updated_at, at(50));
    assert_eq!(leads.get(account, lead_id(1)).await.expect("kept"), kept);
    assert_eq!(leads.get(account, lead_id(2)).await.expect("followed"), kept);
    assert_eq!(
        leads.by_phone(account, &phone(2)).await.expect("read"),
        Some(kept.clone())
    );
    let by_email = leads.by_email(account, "lead2@example.COM").await.expect("read");
    assert_eq!(by_email, Some(kept.clone()));
    let caller = Lead {
        phone: Some(phone(2)),
        ..lead(account, 9)
    };
    let found = leads.find_or_create_by_phone(caller.clone()).await.expect("read");
    assert_eq!(found, (kept.clone(), false));
    let taken = leads.create(caller).await;
    assert!(
        matches!(taken, Err(StoreError::Taken { field: "phone" })),
        "{taken:?}"
    );

    // The same again, and further on: what the duplicate had goes with it.
    assert_eq!(merged(store, 1, 2).await, kept);
    let last = merged(store, 3, 1).await;
    assert_eq!(last.ids(), [3, 1, 2].map(lead_id));
    for number in 1..=3 {
        assert_eq!(
            leads.get(account, lead_id(number)).await.expect("followed").id,
            lead_id(3)
        );
        let by_phone = leads.by_phone(account, &phone(number)).await.expect("read");
        assert_eq!(by_phone.map(|lead| lead.id), Some(lead_id(3)));
    }
    let listed = leads.list(account, PageRequest::default()).await.expect("read");
    assert_eq!(listed.items, [last]);

    // A write by the duplicate's id is a write of the lead; it cannot be removed by it.
    let stopped = leads
        .change_consent(account, lead_id(2), ConsentChange::stop(), at(60))
        .await;
    assert_eq!(stopped.expect("written").0.id, lead_id(3));
    let gone = leads.delete(account, lead_id(2)).await;
    assert!(matches!(gone, Err(StoreError::Missing { .. })), "{gone:?}");
    let renamed = LeadChange {
        name: Some("Ann".to_owned()),
        ..LeadChange::default()
    };
    let edited = leads.edit(by_hand(account, lead_id(2), renamed)).await;
    assert_eq!(edited.expect("written").expect("it holds").lead_id, lead_id(3));
    assert_eq!(leads.get(account, lead_id(3)).await.expect("read").ids().len(), 3);

    goes_with_all_it_was_known_by(store).await;
}

/// With the lead goes all that it was known by; the opt-out stays with each number.
async fn goes_with_all_it_was_known_by(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    leads.delete(account, lead_id(3)).await.expect("deleted");
    for number in 1..=3 {
        let gone = leads.get(account, lead_id(number)).await;
        assert!(matches!(gone, Err(StoreError::Missing { .. })), "{gone:?}");
        assert_eq!(leads.by_phone(account, &phone(number)).await.expect("read"), None);
        let opt_out = leads.opt_out_of(account, &phone(number)).await.expect("read");
        assert!(opt_out.covers(Some(ContactChannel::Sms)), "{number}");
    }
    let (next, is_new) = leads
        .find_or_create_by_phone(Lead {
            phone: Some(phone(2)),
            ..lead(account, 10)
        })
        .await
        .expect("written");
    assert!(is_new && next.opt_out().covers(Some(ContactChannel::Sms)));
}

pub(crate) async fn an_opt_out_of_either_survives_a_merge_and_is_told(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    let numberless = Lead {
        phone: None,
        ..lead(account, 1)
    };
    leads.create(numberless).await.expect("written");
    leads.create(lead(account, 2)).await.expect("written");
    leads
        .change_consent(account, lead_id(2), ConsentChange::stop(), at(9))
        .await
        .expect("written");
    let kept = merged(store, 1, 2).await;
    assert!(kept.opt_out().covers(Some(ContactChannel::Sms)));
    assert_eq!(kept.phone, Some(phone(2)), "it had none");
    assert_eq!(
        leads.by_phone(account, &phone(2)).await.expect("read"),
        Some(kept)
    );
    let facts = store
        .observations
        .unrouted_of(account, Some(lead_id(1)))
        .await
        .expect("read");
    let mut kinds: Vec<&str> = facts.iter().map(|fact| fact.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["lead.opted_out", "lead.updated"]);
    merged(store, 1, 2).await;
    let again = store
        .observations
        .unrouted_of(account, Some(lead_id(1)))
        .await
        .expect("read");
    assert_eq!(again.len(), 2, "a repeat tells nothing twice");
}

pub(crate) async fn what_cannot_be_merged_stays_as_it_was(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    leads.create(lead(account, 1)).await.expect("written");
    leads.create(lead(account_id(2), 2)).await.expect("written");
    let merge =
        async |owner, kept, duplicate| leads.merge(owner, lead_id(kept), lead_id(duplicate), at(9)).await;
    let itself = merge(account, 1, 1).await.expect("read");
    assert_eq!(itself, Err(MergeRefusal::Itself));
    for (owner, kept, duplicate) in [
        (account, 1, 2),
        (account, 2, 1),
        (account, 1, 7),
        (account_id(2), 1, 2),
    ] {
        let foreign = merge(owner, kept, duplicate).await;
        assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
    }
    assert_eq!(
        leads.get(account, lead_id(1)).await.expect("kept"),
        lead(account, 1)
    );
    let other = leads.get(account_id(2), lead_id(2)).await.expect("kept");
    assert_eq!(other, lead(account_id(2), 2));
    // Another account does not see through an id that was merged.
    leads.create(lead(account, 3)).await.expect("written");
    merged(store, 1, 3).await;
    let foreign = leads.get(account_id(2), lead_id(3)).await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
}

pub(crate) async fn an_edit_ordered_for_a_duplicate_is_made_once_on_the_kept_lead(store: &Store) {
    let account = account_id(1);
    for number in 1..=2 {
        store.leads.create(lead(account, number)).await.expect("written");
    }
    merged(store, 1, 2).await;
    let edit = KeyedEdit {
        account_id: account,
        lead_id: lead_id(2),
        key: "run/one/0/0".to_owned(),
        planned_at: at(51),
        at: at(52),
        by: EditBy::Run(run_id(1)),
        trace: None,
        edit: LeadEdit::Score(ScoreChange { set: None, add: 7 }),
    };
    for _ in 0..2 {
        let edited = store
            .leads
            .edit(edit.clone())
            .await
            .expect("written")
            .expect("it holds");
        assert_eq!((edited.lead_id, edited.score), (lead_id(1), 57));
    }
    assert_eq!(
        store.leads.get(account, lead_id(2)).await.expect("read").score,
        57
    );
}

pub(crate) async fn leads_with_one_address_are_listed_in_groups(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    let with = |number: u64, email: &str| Lead {
        email: Some(email.to_owned()),
        ..lead(account, number)
    };
    // Groups a (1, 4), b (2, 3, 5), and one of 25.
    for (number, email) in [
        (1, "a@x.example"),
        (2, "b@x.example"),
        (3, "B@x.example"),
        (4, " A@X.example"),
    ] {
        leads.create(with(number, email)).await.expect("written");
    }
    leads.create(with(5, "b@X.EXAMPLE")).await.expect("written");
    leads.create(lead(account, 6)).await.expect("written");
    for number in 10..35 {
        leads
            .create(with(number, "many@x.example"))
            .await
            .expect("written");
    }
    let elsewhere = Lead {
        email: Some("a@x.example".to_owned()),
        ..lead(account_id(2), 40)
    };
    leads.create(elsewhere).await.expect("written");
    let (mut cursor, mut groups) = (None, Vec::new());
    loop {
        let page = leads
            .same_email(account, PageRequest { limit: 1, cursor })
            .await
            .expect("read");
        assert!(page.items.len() <= 1);
        groups.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let shown: Vec<(&str, Vec<LeadId>, u64)> = groups
        .iter()
        .map(|group| {
            (
                group.email.as_str(),
                group.leads.iter().map(|lead| lead.id).collect(),
                group.more,
            )
        })
        .collect();
    let first: Vec<LeadId> = (10..10 + u64::from(SAME_EMAIL_MAX)).map(lead_id).collect();
    let expected = [
        ("many@x.example", first, 5),
        ("b@x.example", [2, 3, 5].map(lead_id).to_vec(), 0),
        ("a@x.example", [1, 4].map(lead_id).to_vec(), 0),
    ];
    assert_eq!(shown, expected);
    merged(store, 1, 4).await;
    let left = leads
        .same_email(account, PageRequest::default())
        .await
        .expect("read");
    assert_eq!(left.items.len(), 2);
}

pub(crate) async fn what_happened_with_a_duplicate_is_on_the_kept_leads_timeline(store: &Store) {
    let account = account_id(1);
    for number in 1..=9 {
        let fact = Observation {
            id: observation_id(number),
            account_id: account,
            kind: EventType::new("quote.sent"),
            at: at(100 + number),
            lead_id: Some(lead_id(1 + number % 3)),
            call_id: None,
            caused_by: None,
            trace: None,
            data: serde_json::json!({"number": number}),
        };
        store.observations.record(fact).await.expect("written");
    }
    let leads = [1, 2, 3].map(lead_id);
    let (mut cursor, mut seen) = (None, Vec::new());
    loop {
        let page = kin::timeline(store, account, &leads, PageRequest { limit: 2, cursor }).await;
        let page = page.expect("read");
        seen.extend(page.items.iter().map(|fact| fact.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = (1..=9).rev().map(observation_id).collect();
    assert_eq!(seen, expected);
    let past = kin::past(store, account, &leads, at(104), &|fact| {
        fact.data["number"].as_u64() != Some(6)
    });
    let past: Vec<_> = past.await.expect("read").iter().map(|fact| fact.id).collect();
    expected.reverse();
    assert_eq!(past, [&expected[3..5], &expected[6..]].concat());
}

pub(crate) async fn runs_of_either_are_found_by_the_name_and_every_number_of_the_lead(store: &Store) {
    let (account, workflow) = (account_id(1), workflow_id(1));
    for number in 1..=3 {
        let mut one = lead(account, number);
        one.name = if number == 1 {
            "Zoë Kept".to_owned()
        } else {
            String::new()
        };
        store.leads.create(one).await.expect("written");
        let mut append = run(account, workflow, number);
        append.head.lead_id = Some(lead_id(number));
        store.runs.create(append).await.expect("written");
    }
    merged(store, 1, 2).await;
    let ids = kin::ids_of(store, account, lead_id(2)).await.expect("read");
    assert_eq!(ids, [1, 2].map(lead_id));
    let gone = kin::ids_of(store, account, lead_id(9)).await.expect("read");
    assert_eq!(gone, [lead_id(9)]);
    let any = RunFilter::default();
    let found = kin::runs(store, account, &ids, &any, PageRequest::default()).await;
    assert_eq!(numbers(&found.expect("read").items), [2, 1]);
    let found = kin::runs(store, account, &[], &any, PageRequest::default()).await;
    assert_eq!(numbers(&found.expect("read").items), [0; 0]);
    for (text, expected) in [
        ("zoë", &[2, 1][..]),
        ("5550001", &[2, 1]),
        ("+14155550002", &[2, 1]),
        ("5550003", &[3]),
        ("5550", &[3, 2, 1]),
        ("bob", &[]),
    ] {
        let filter = RunFilter {
            text: Some(text.to_owned()),
            ..RunFilter::default()
        };
        let found = store.runs.list(account, filter.clone(), PageRequest::default());
        assert_eq!(numbers(&found.await.expect("read").items), expected, "{text}");
        let elsewhere = store.runs.list(account_id(2), filter, PageRequest::default());
        assert_eq!(elsewhere.await.expect("read").items, [], "{text}");
    }
}

fn numbers(heads: &[RunHead]) -> Vec<u64> {
    let number = |head: &RunHead| (1..10).find(|number| run_id(*number) == head.id);
    heads.iter().filter_map(number).collect()
}
