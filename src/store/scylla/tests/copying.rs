//! A store file copied into a CQL server: whole, the same, more than once, and not when it is not.

use std::path::Path;

use super::opened;
use crate::{
    domain::{
        audio::Speaker,
        audit::{Actor, Deed, Details},
        call::CallStatus,
        consent::{ConsentChange, ContactChannel},
        lead::{AssignRule, Assignee, EditBy, KeyedEdit, LeadEdit, ScoreChange},
        sealing::WrappedKeys,
        task::TaskStatus,
        transcript::Utterance,
    },
    store::{
        Store,
        accounts::RememberedAnswer,
        conformance::samples::{
            account, account_id, alert, appointment, at, call, call_id, effect, fact, hash, key, lead,
            lead_id, line, message, next, observation, observation_id, run, run_id, task, user, version,
            webhook, workflow, workflow_id,
        },
        contacts::{Contact, ContactCaps},
        copy::{CopyError, Copying},
        resources::ResourceRow,
        runs::{EffectState, RunStatus},
        schedules::Considered,
        scylla::{database::Scylla, import::Importer, open::whole_with},
        sqlite,
    },
};

/// Puts at least one row of everything into a store.
async fn fill(store: &Store) {
    let owner = account_id(1);
    fill_people(store).await;
    let mut row = workflow(owner, 1);
    store
        .workflows
        .create(row.clone(), Some(version(row.id, 1)))
        .await
        .expect("written");
    (row.revision, row.published) = (2, 2);
    store
        .workflows
        .update(row.clone(), Some(version(row.id, 2)))
        .await
        .expect("written");
    let gone = workflow(owner, 2);
    let only = version(gone.id, 1);
    store.workflows.create(gone, Some(only)).await.expect("written");
    store
        .workflows
        .delete(owner, workflow_id(2))
        .await
        .expect("deleted");
    let considered = Considered {
        version: 2,
        until: at(77),
    };
    store
        .schedules
        .consider(row.id, considered)
        .await
        .expect("written");
    fill_runs(store).await;
    fill_calls(store).await;
    for number in 1..=2 {
        let fact = observation(owner, Some(lead_id(1)), number);
        store.observations.record(fact).await.expect("written");
    }
    store
        .observations
        .mark_routed(observation_id(1))
        .await
        .expect("written");
    store.alerts.raise(alert(owner, 1)).await.expect("written");
    store.tasks.create(task(owner, 1)).await.expect("written");
    let row = ResourceRow::first(&appointment(owner, 1)).expect("JSON");
    store.resources.create(row).await.expect("written");
    let mut sent = message(owner, 1);
    sent.provider_id = Some("SM1".to_owned());
    store.messages.record(sent).await.expect("written");
}

async fn fill_calls(store: &Store) {
    let owner = account_id(1);
    for sequence in 0..3 {
        store
            .calls
            .record_fact(fact(owner, 1, sequence))
            .await
            .expect("written");
        store
            .calls
            .record_fact(fact(owner, 2, sequence))
            .await
            .expect("written");
    }
    let ended = call(owner, 1, CallStatus::Completed);
    store.calls.save(ended, 3).await.expect("written");
    let said = Utterance {
        ordinal: 0,
        speaker: Speaker::Customer,
        text: "hello".to_owned(),
        start_ms: 100,
        end_ms: 900,
        sentiment: None,
    };
    store
        .calls
        .append_utterance(call_id(1), said)
        .await
        .expect("written");
}

async fn fill_log_and_keys(store: &Store) {
    let deed = Deed {
        account_id: account_id(1),
        at: at(1),
        actor: Actor::Operator,
        action: "createLead".to_owned(),
        subject: None,
        about: Vec::new(),
        request_id: None,
        address: None,
    };
    let details = Details {
        salt: "s".to_owned(),
        before: None,
        after: None,
    };
    for _ in 0..2 {
        let written = store.audit.append(deed.clone(), details.clone()).await;
        written.expect("written");
    }
    let keys = WrappedKeys {
        master: "master".to_owned(),
        sealed: "sealed".to_owned(),
    };
    store.keyring.rewrap(None, keys).await.expect("written");
}

async fn fill_people(store: &Store) {
    let owner = account_id(1);
    let ann = user(owner, 1);
    store
        .accounts
        .create_account(account(1), ann.clone())
        .await
        .expect("written");
    store.accounts.create_user(user(owner, 2)).await.expect("written");
    store.accounts.create_key(key(&ann, 1)).await.expect("written");
    store.webhooks.create(webhook(&ann, 1)).await.expect("written");
    fill_log_and_keys(store).await;
    let answer = RememberedAnswer {
        account_id: owner,
        key: "k".to_owned(),
        request_hash: hash(1),
        status: 202,
        body: "{}".to_owned(),
        at: at(1),
    };
    store.accounts.remember_answer(answer).await.expect("written");
    fill_leads(store).await;
}

async fn fill_leads(store: &Store) {
    let owner = account_id(1);
    for number in 1..=3 {
        store.leads.create(lead(owner, number)).await.expect("written");
    }
    // A duplicate that was merged.
    store.leads.create(lead(owner, 4)).await.expect("written");
    let merged = store.leads.merge(owner, lead_id(3), lead_id(4), at(3)).await;
    merged.expect("written").expect("there is room");
    // Somebody who opted out and is gone.
    store.leads.create(lead(owner, 9)).await.expect("written");
    let stop = ConsentChange::stop();
    store
        .leads
        .change_consent(owner, lead_id(9), stop, at(2))
        .await
        .expect("written");
    store.leads.delete(owner, lead_id(9)).await.expect("deleted");
    let edit = KeyedEdit {
        account_id: owner,
        lead_id: lead_id(1),
        key: "edit".to_owned(),
        planned_at: at(1),
        at: at(9),
        by: EditBy::Run(run_id(1)),
        trace: None,
        edit: LeadEdit::Score(ScoreChange { set: None, add: 7 }),
    };
    let given = KeyedEdit {
        key: "given".to_owned(),
        edit: LeadEdit::Assign {
            to: Assignee::ByRule {
                rule: AssignRule::RoundRobin,
                among: Vec::new(),
            },
            unless_assigned: false,
        },
        ..edit.clone()
    };
    for edit in [edit, given] {
        store.leads.edit(edit).await.expect("written").expect("it holds");
    }
    let contact = Contact {
        account_id: owner,
        subject: lead_id(1).to_string(),
        channel: ContactChannel::Sms,
        key: "sms".to_owned(),
        at: at(5),
    };
    store
        .contacts
        .book(contact, ContactCaps::default())
        .await
        .expect("written");
}

/// One run that is parked with a timer, and one whose history is too long for one append.
async fn fill_runs(store: &Store) {
    let owner = account_id(1);
    let mut parked = run(owner, workflow_id(1), 1);
    parked.head.lead_id = Some(lead_id(1));
    parked.effects = vec![effect(&parked, "k", EffectState::Claimed)];
    parked.parts = vec![(1, b"a long list".to_vec())];
    parked.timers_set = vec![(1, at(100)), (2, at(4_000))];
    store.runs.create(parked.clone()).await.expect("written");
    store
        .runs
        .append(next(&parked, RunStatus::Waiting))
        .await
        .expect("written");
    let mut long = run(owner, workflow_id(1), 2);
    store.runs.create(long.clone()).await.expect("written");
    for _ in 0..4 {
        long = next(&long, RunStatus::Running);
        let seq = long.head.revision - 1;
        let mut told = line(seq);
        told.entry = format!("{{\"text\": \"{}\"}}", "x".repeat(150_000));
        long.journal = vec![told];
        store.runs.append(long.clone()).await.expect("written");
    }
}

async fn copying(path: &Path, from: Store, opened: &super::Opened) -> Copying {
    let core = &opened.core;
    let rest = std::sync::Arc::new(Scylla::new(core.db.clone(), core.observations.clone()));
    let target = (whole_with(core, rest.clone()), Importer(rest));
    Copying::new(path, from, target).expect("the file is read")
}

#[tokio::test]
async fn a_copy_is_the_same_however_often_it_is_made_and_a_difference_is_found() {
    let Some(opened) = opened().await else { return };
    let folder = tempfile::tempdir().expect("the test machine has a temporary folder");
    let path = folder.path().join("store.db");
    let (store, _guard) = sqlite::open(&path).expect("an empty folder takes a store");
    fill(&store).await;
    for _ in 0..2 {
        let copying = copying(&path, store.clone(), &opened).await;
        let same = copying.run().await.expect("both hold the same");
        let rows: Vec<_> = same.iter().map(|digest| (digest.kind, digest.rows)).collect();
        for kind in [
            "accounts",
            "leads",
            "edits of leads",
            "versions",
            "runs",
            "calls",
            "facts",
            "messages",
        ] {
            assert!(
                rows.iter().any(|(known, rows)| *known == kind && *rows > 0),
                "{kind}: {rows:?}"
            );
        }
    }
    let mut done = task(account_id(1), 1);
    done.status = TaskStatus::Done;
    store.tasks.update(done).await.expect("written");
    let again = copying(&path, store.clone(), &opened).await.run().await;
    assert!(
        matches!(again, Err(CopyError::Differs { kind: "tasks", .. })),
        "{again:?}"
    );
    // Nothing that is there is written over by somebody else's copy.
    let other = folder.path().join("other.db");
    let (stranger, _guard) = sqlite::open(&other).expect("an empty folder takes a store");
    stranger
        .accounts
        .create_account(account(7), user(account_id(7), 7))
        .await
        .expect("written");
    let refused = copying(&other, stranger, &opened).await.run().await;
    assert!(matches!(refused, Err(CopyError::NotOurs)), "{refused:?}");
}

/// What a copy leaves behind.
const LEFT_BEHIND: [(&str, &str); 3] = [
    ("sessions", "people sign in again"),
    ("used_refresh_hashes", "they belong to sessions"),
    ("run_counts", "they are counted from the runs"),
];
/// Tables whose rows no trait reads: what they say is taken from the file itself, so it is changed there.
const READ_FROM_THE_FILE: [(&str, &str); 3] = [
    // Its entries cannot be removed.
    ("audit", "UPDATE audit SET details = NULL"),
    ("lead_edits", "UPDATE lead_edits SET result = '{}'"),
    (
        "assignment_turns",
        "UPDATE assignment_turns SET last = zeroblob(16)",
    ),
];

#[tokio::test]
async fn what_is_missing_is_found_whatever_table_it_was_in() {
    let Some(opened) = opened().await else { return };
    let folder = tempfile::tempdir().expect("the test machine has a temporary folder");
    let path = folder.path().join("store.db");
    let (store, _guard) = sqlite::open(&path).expect("an empty folder takes a store");
    fill(&store).await;
    let whole = copying(&path, store.clone(), &opened).await;
    whole.run().await.expect("both hold the same");
    let file = rusqlite::Connection::open(&path).expect("it is a database");
    let tables: Vec<String> = file
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .and_then(|mut tables| tables.query_map([], |row| row.get(0))?.collect())
        .expect("tables are listed");
    for table in tables {
        if LEFT_BEHIND.iter().any(|(left, _)| *left == table) {
            continue;
        }
        let rows: i64 = file
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .expect("rows are counted");
        assert!(rows > 0, "{table}: `fill` puts no row there");
        let less = folder.path().join(format!("{table}.db"));
        sqlite::copy_to(&path, &less).expect("a copy of the file");
        let change = READ_FROM_THE_FILE.iter().find(|(name, _)| *name == table);
        let change = change.map_or_else(
            || format!("DELETE FROM {table}"),
            |(_, change)| (*change).to_owned(),
        );
        rusqlite::Connection::open(&less)
            .and_then(|file| file.execute(&change, []))
            .expect("the copy is changed");
        let (poorer, _guard) = sqlite::open(&less).expect("it is opened");
        let mut other = copying(&less, poorer, &opened).await;
        if !READ_FROM_THE_FILE.iter().any(|(name, _)| *name == table) {
            other.export = whole.export.clone();
        }
        let compared = other.compare().await;
        assert!(compared.is_err(), "{table} is not compared: {compared:?}");
    }
}
