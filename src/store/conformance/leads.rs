//! Leads: who is who by phone and e-mail.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;

use super::samples::{account_id, at, by_hand, lead, lead_id, observation, run_id, user, user_id};
use crate::{
    domain::{
        consent::{ConsentChange, ContactChannel, Standing},
        ids::{ImportId, LeadId},
        lead::{
            AssignRule, Assignee, EditBy, EditRefusal, KeyedEdit, Lead, LeadChange, LeadEdit, LeadEdited,
            LeadUpdate, ScoreChange, columns::LeadRow, fact_id,
        },
        observation::EventType,
        phone::PhoneNumber,
    },
    store::{PageRequest, Store, StoreError, StoreResult},
};

async fn changed(store: &Store, lead: LeadId, change: LeadChange) -> Result<LeadEdited, EditRefusal> {
    let edit = by_hand(account_id(1), lead, change);
    store.leads.edit(edit).await.expect("written")
}

async fn phone_changed(
    store: &Store,
    lead: LeadId,
    phone: Option<PhoneNumber>,
) -> Result<LeadEdited, EditRefusal> {
    let change = LeadChange {
        phone: Some(phone),
        ..LeadChange::default()
    };
    changed(store, lead, change).await
}

pub(crate) async fn a_phone_number_belongs_to_one_lead_of_an_account(store: &Store) {
    let (first, mut second) = (lead(account_id(1), 1), lead(account_id(1), 2));
    store.leads.create(first.clone()).await.expect("written");
    store.leads.create(second.clone()).await.expect("written");
    second.phone = first.phone.clone();
    let moved = phone_changed(store, lead_id(2), first.phone.clone()).await;
    assert_eq!(moved, Err(EditRefusal::PhoneTaken));
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
    let same = phone_changed(store, lead_id(1), first.phone.clone()).await;
    assert!(
        same.expect("its own phone is no obstacle").changed.is_empty(),
        "nothing changed"
    );
    let kept = store.leads.get(account_id(1), lead_id(1)).await;
    assert_eq!(kept.expect("kept"), first);
    let emptied = phone_changed(store, lead_id(1), None).await;
    assert_eq!(emptied.expect("it holds").changed, ["phone"]);
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
    assert_eq!(
        changed(store, lead_id(1), LeadChange::default()).await,
        Err(EditRefusal::LeadGone(lead_id(1)))
    );
}

pub(crate) async fn an_edit_never_lifts_an_opt_out(store: &Store) {
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    let stop = || {
        store
            .leads
            .change_consent(account_id(1), lead_id(1), ConsentChange::stop(), at(9))
    };
    let (stopped, differs) = stop().await.expect("written");
    assert!(differs && stopped.opted_out && stopped.updated_at == at(9));
    let (_, differs) = stop().await.expect("written");
    assert!(!differs, "once is enough");
    let renamed = LeadChange {
        name: Some("Ann".to_owned()),
        ..LeadChange::default()
    };
    changed(store, lead_id(1), renamed).await.expect("it holds");
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

pub(crate) async fn an_opt_out_stays_with_the_number_when_its_lead_is_deleted_or_gets_another(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    let first = lead(account, 1);
    let number = first.phone.clone().expect("samples have one");
    let opt_out = || async { leads.opt_out_of(account, &number).await.expect("read") };
    let change = async |id, change| {
        let changed = leads.change_consent(account, id, change, at(9)).await;
        changed.expect("written").0
    };
    leads.create(first).await.expect("written");
    assert!(!opt_out().await.opted_out);
    change(lead_id(1), ConsentChange::stop()).await;
    leads.delete(account, lead_id(1)).await.expect("deleted");
    assert!(opt_out().await.covers(Some(ContactChannel::Sms)));
    assert!(
        !leads
            .opt_out_of(account_id(2), &number)
            .await
            .expect("read")
            .opted_out
    );

    // Whoever has the number next has opted out too, and it is theirs to lift.
    let next = Lead {
        phone: Some(number.clone()),
        ..lead(account, 2)
    };
    let (next, is_new) = leads.find_or_create_by_phone(next).await.expect("written");
    assert!(is_new && next.opt_out().covers(Some(ContactChannel::Sms)));
    let kept = leads.get(account, next.id).await.expect("kept");
    assert_eq!(kept.opt_out(), next.opt_out());
    let lifted = change(next.id, ConsentChange::start()).await;
    assert!(!lifted.opted_out);
    leads.delete(account, next.id).await.expect("deleted");
    assert!(!opt_out().await.opted_out, "START was the last word");

    // Another number takes nothing away from the one that opted out.
    let third = Lead {
        phone: Some(number.clone()),
        ..lead(account, 3)
    };
    leads.create(third).await.expect("written");
    let stopped = change(lead_id(3), ConsentChange::stop()).await;
    assert!(stopped.opted_out);
    phone_changed(store, lead_id(3), lead(account, 4).phone)
        .await
        .expect("it holds");
    assert!(opt_out().await.covers(Some(ContactChannel::Sms)));
    let fourth = Lead {
        phone: Some(number.clone()),
        ..lead(account, 5)
    };
    leads.create(fourth).await.expect("written");
    let kept = leads.get(account, lead_id(5)).await.expect("kept");
    assert!(kept.opt_out().covers(Some(ContactChannel::Sms)));
}

fn keyed(key: &str, edit: LeadEdit) -> KeyedEdit {
    KeyedEdit {
        account_id: account_id(1),
        lead_id: lead_id(1),
        key: key.to_owned(),
        planned_at: at(1),
        at: at(9),
        by: EditBy::Run(run_id(1)),
        trace: None,
        edit,
    }
}

async fn made(store: &Store, edit: KeyedEdit) -> LeadEdited {
    store.leads.edit(edit).await.expect("written").expect("it holds")
}

pub(crate) async fn an_edit_is_made_once_under_its_key_and_its_facts_are_kept_with_it(store: &Store) {
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    let add = |key: &str| keyed(key, LeadEdit::Score(ScoreChange { set: None, add: 7 }));
    let first = made(store, add("a")).await;
    assert_eq!((first.score_before, first.score), (50, 57));
    assert_eq!(made(store, add("a")).await, first);
    assert_eq!(made(store, add("b")).await.score, 64);
    let kept = store.leads.get(account_id(1), lead_id(1)).await.expect("read");
    assert_eq!((kept.score, kept.updated_at), (64, at(9)));
    let stage = LeadUpdate {
        stage: Some("qualified".to_owned()),
        ..LeadUpdate::default()
    };
    let update = keyed("c", LeadEdit::Update(stage));
    assert_eq!(made(store, update.clone()).await.changed, ["stage"]);
    let unrouted = store.observations.unrouted(None).await.expect("read");
    let kinds: Vec<_> = unrouted.iter().map(|fact| fact.kind.as_str()).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let id = fact_id(update.planned_at, &update.key, &EventType::LEAD_QUALIFIED);
    let qualified = store.observations.get(account_id(1), id).await.expect("kept");
    assert_eq!(qualified.caused_by, Some(run_id(1)));
}

pub(crate) async fn of_edits_of_different_fields_at_once_each_counts(store: &Store) {
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    let mut edits = Vec::new();
    for number in 0..5 {
        let fields = BTreeMap::from([(format!("field{number}"), json!(number))]);
        let own = LeadChange {
            fields: fields.clone(),
            ..LeadChange::default()
        };
        edits.push(by_hand(account_id(1), lead_id(1), own));
        let score = LeadEdit::Score(ScoreChange { set: None, add: 1 });
        edits.push(keyed(&format!("score {number}"), score));
        let row = LeadRow {
            fields: BTreeMap::from([(format!("row{number}"), json!(number))]),
            ..LeadRow::default()
        };
        let by = EditBy::Import {
            id: ImportId::from_bytes([7; 16]),
            is_told: true,
        };
        edits.push(KeyedEdit {
            by,
            ..keyed(&format!("row {number}"), LeadEdit::Row(row))
        });
    }
    let leads = &store.leads;
    let made = join_all(edits.into_iter().map(|edit| leads.edit(edit))).await;
    for edited in made {
        let edited = edited.expect("written").expect("it holds");
        assert_eq!(edited.changed.len(), 1, "{edited:?}");
    }
    let kept = leads.get(account_id(1), lead_id(1)).await.expect("kept");
    assert_eq!((kept.score, kept.fields.len()), (55, 11), "{kept:?}");
}

pub(crate) async fn what_follows_from_an_edit_by_hand_is_kept_with_it(store: &Store) {
    let (account, leads) = (account_id(1), &store.leads);
    let told = observation(account, Some(lead_id(1)), 1);
    leads
        .introduce(lead(account, 1), vec![told.clone()])
        .await
        .expect("written");
    let again = leads
        .introduce(lead(account, 1), vec![observation(account, Some(lead_id(1)), 2)])
        .await;
    assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
    assert_eq!(store.observations.unrouted(None).await.expect("read"), [told]);
    let change = LeadChange {
        stage: Some("qualified".to_owned()),
        consent: ConsentChange::stop(),
        ..LeadChange::default()
    };
    let made = changed(store, lead_id(1), change.clone()).await;
    assert_eq!(
        made.expect("it holds").changed,
        ["stage", "opted_out", "opted_out_of"]
    );
    let nothing = changed(store, lead_id(1), change).await;
    assert!(nothing.expect("it holds").changed.is_empty());
    let unrouted = store.observations.unrouted_of(account, Some(lead_id(1))).await;
    let mut kinds: Vec<_> = unrouted
        .expect("read")
        .into_iter()
        .map(|fact| fact.kind)
        .collect();
    kinds.sort_unstable();
    kinds.retain(|kind| kind.as_str().starts_with("lead."));
    assert_eq!(
        kinds,
        [
            EventType::LEAD_OPTED_OUT,
            EventType::LEAD_QUALIFIED,
            EventType::LEAD_UPDATED
        ]
    );

    // From another state than was read it is not made.
    let read = leads.get(account, lead_id(1)).await.expect("kept").revision();
    let named = |name: &str| {
        let change = LeadChange {
            name: Some(name.to_owned()),
            ..LeadChange::default()
        };
        KeyedEdit {
            by: EditBy::Hand { read_at: Some(read) },
            ..by_hand(account, lead_id(1), change)
        }
    };
    made_of(leads.edit(named("Ann")).await);
    let late = leads.edit(named("Bob")).await.expect("read");
    assert!(matches!(late, Err(EditRefusal::Moved { .. })), "{late:?}");
    assert_eq!(leads.get(account, lead_id(1)).await.expect("kept").name, "Ann");
}

fn made_of(edited: StoreResult<Result<LeadEdited, EditRefusal>>) {
    edited.expect("written").expect("it holds");
}

pub(crate) async fn an_untold_row_stands_on_the_timeline_alone(store: &Store) {
    let account = account_id(1);
    store.leads.create(lead(account, 1)).await.expect("written");
    let row = LeadRow {
        stage: Some("customer".to_owned()),
        ..LeadRow::default()
    };
    let edit = KeyedEdit {
        by: EditBy::Import {
            id: ImportId::from_bytes([7; 16]),
            is_told: false,
        },
        ..keyed("row", LeadEdit::Row(row))
    };
    made(store, edit.clone()).await;
    made(store, edit).await;
    assert!(store.observations.unrouted(None).await.expect("read").is_empty());
    let timeline = store
        .observations
        .timeline(account, lead_id(1), PageRequest::default())
        .await;
    let kinds: Vec<_> = timeline
        .expect("read")
        .items
        .into_iter()
        .map(|fact| fact.kind)
        .collect();
    assert_eq!(kinds, [EventType::LEAD_UPDATED]);
}

pub(crate) async fn a_refused_edit_changes_nothing_and_may_be_made_later(store: &Store) {
    let taken = lead(account_id(1), 2);
    let phone = LeadUpdate {
        phone: taken.phone.clone(),
        ..LeadUpdate::default()
    };
    let edit = keyed("a", LeadEdit::Update(phone));
    let gone = store.leads.edit(edit.clone()).await.expect("read");
    assert_eq!(gone, Err(EditRefusal::LeadGone(lead_id(1))));
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    store.leads.create(taken.clone()).await.expect("written");
    let refused = store.leads.edit(edit.clone()).await.expect("read");
    assert_eq!(refused, Err(EditRefusal::PhoneTaken));
    let strange = KeyedEdit {
        account_id: account_id(2),
        ..edit.clone()
    };
    assert!(store.leads.edit(strange).await.expect("read").is_err());
    store
        .leads
        .delete(account_id(1), taken.id)
        .await
        .expect("deleted");
    assert_eq!(made(store, edit).await.changed, ["phone"]);
}

pub(crate) async fn leads_are_given_out_in_turn_or_to_whoever_has_fewest(store: &Store) {
    for number in 1..=5 {
        store
            .leads
            .create(lead(account_id(1), number))
            .await
            .expect("written");
    }
    let assign = |number: u64, to: Assignee| KeyedEdit {
        lead_id: lead_id(number),
        ..keyed(
            &format!("k{number}"),
            LeadEdit::Assign {
                to,
                unless_assigned: false,
            },
        )
    };
    let by = |rule: AssignRule| Assignee::ByRule {
        rule,
        among: Vec::new(),
    };
    let nobody = store
        .leads
        .edit(assign(1, by(AssignRule::RoundRobin)))
        .await
        .expect("read");
    assert_eq!(nobody, Err(EditRefusal::NoAgents));
    for number in 1..=2 {
        let agent = user(account_id(1), number);
        store.accounts.create_user(agent).await.expect("written");
    }
    let mut given = Vec::new();
    for number in 1..=3 {
        let edited = made(store, assign(number, by(AssignRule::RoundRobin))).await;
        given.push(edited.assigned_to);
    }
    assert_eq!(given, [Some(user_id(1)), Some(user_id(2)), Some(user_id(1))]);
    let least = made(store, assign(4, by(AssignRule::LeastBusy))).await;
    assert_eq!(least.assigned_to, Some(user_id(2)));
    let named = Assignee::One(" Person1@Example.com ".to_owned());
    assert_eq!(made(store, assign(5, named)).await.assigned_to, Some(user_id(1)));
    let kept = store.leads.get(account_id(1), lead_id(5)).await.expect("read");
    assert_eq!(kept.assigned_to, Some(user_id(1)));
    let unknown = KeyedEdit {
        key: "other".to_owned(),
        ..assign(5, Assignee::One("nobody@example.com".to_owned()))
    };
    let refused = store.leads.edit(unknown).await.expect("read");
    assert!(matches!(refused, Err(EditRefusal::UnknownUser(_))), "{refused:?}");
    let kept = KeyedEdit {
        key: "kept".to_owned(),
        edit: LeadEdit::Assign {
            to: Assignee::One(user_id(2).to_string()),
            unless_assigned: true,
        },
        ..assign(5, by(AssignRule::RoundRobin))
    };
    assert_eq!(made(store, kept).await.assigned_to, Some(user_id(1)));
}

pub(crate) async fn a_walk_meets_every_lead_once_oldest_first(store: &Store) {
    for number in [3, 1, 5, 2, 4] {
        store
            .leads
            .create(lead(account_id(1), number))
            .await
            .expect("written");
    }
    store.leads.create(lead(account_id(2), 6)).await.expect("written");
    let mut met = Vec::new();
    let mut after = None;
    loop {
        let part = store.leads.walk(account_id(1), after, 2).await.expect("read");
        let Some(last) = part.last() else { break };
        after = Some((last.created_at, last.id));
        met.extend(part.iter().map(|lead| lead.id));
    }
    let expected: Vec<_> = (1..=5).map(lead_id).collect();
    assert_eq!(met, expected);
}
