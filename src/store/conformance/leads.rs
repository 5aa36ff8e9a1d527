//! Leads: who is who by phone and e-mail.

use super::samples::{account_id, at, lead, lead_id, run_id, user, user_id};
use crate::{
    domain::{
        consent::{ConsentChange, ContactChannel, Standing},
        lead::{
            AssignRule, Assignee, EditRefusal, KeyedEdit, Lead, LeadEdit, LeadEdited, LeadUpdate,
            ScoreChange, fact_id,
        },
        observation::EventType,
    },
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
    let moved = Lead {
        phone: lead(account, 4).phone,
        ..stopped
    };
    leads.update(moved).await.expect("written");
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
        run_id: run_id(1),
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
