//! Runs: created once, moved once per append, with everything an append carries.

use super::samples::{
    account_id, at, call_id, effect, fact as fact_of_call, lead, lead_id, line, next, observation,
    observation_id, run, run_id, workflow_id,
};
use crate::{
    domain::shard::Shard,
    store::{
        PageRequest, Recorded, Store, StoreError,
        runs::{ContactTally, EffectRow, EffectState, RunAppend, RunCounts, RunFilter, RunStatus, TimerRow},
    },
};

pub(crate) async fn a_run_is_created_once(store: &Store) {
    let first = run(account_id(1), workflow_id(1), 1);
    let again = RunAppend {
        snapshot: b"other".to_vec(),
        ..first.clone()
    };
    assert_eq!(
        store.runs.create(first.clone()).await.expect("written"),
        Recorded::Fresh
    );
    assert_eq!(
        store.runs.create(again).await.expect("written"),
        Recorded::Duplicate
    );
    let (head, snapshot) = store.runs.load(run_id(1)).await.expect("kept");
    assert_eq!((head, snapshot), (first.head, first.snapshot));
    assert_eq!(
        store.runs.journal(account_id(1), run_id(1)).await.expect("kept"),
        [line(0)]
    );
    assert!(matches!(
        store.runs.load(run_id(2)).await,
        Err(StoreError::Missing { what: "run", .. })
    ));
}

pub(crate) async fn what_is_beside_the_snapshot_is_kept_until_it_is_dropped(store: &Store) {
    let mut first = run(account_id(1), workflow_id(1), 1);
    first.parts = vec![(3, b"three".to_vec()), (7, b"seven".to_vec())];
    store.runs.create(first.clone()).await.expect("kept");
    let mut second = next(&first, RunStatus::Running);
    second.parts = vec![(9, b"nine".to_vec())];
    store.runs.append(second.clone()).await.expect("kept");
    let parts = store.runs.parts(run_id(1)).await.expect("read");
    let all: Vec<u32> = parts.iter().map(|(part, _)| *part).collect();
    assert_eq!((all, parts[1].1.as_slice()), (vec![3, 7, 9], &b"seven"[..]));
    let mut last = next(&second, RunStatus::Completed);
    last.drops_parts = true;
    store.runs.append(last).await.expect("kept");
    assert!(store.runs.parts(run_id(1)).await.expect("read").is_empty());
}

pub(crate) async fn an_append_out_of_turn_is_refused_and_changes_nothing(store: &Store) {
    let first = run(account_id(1), workflow_id(1), 1);
    store.runs.create(first.clone()).await.expect("written");
    let second = next(&first, RunStatus::Running);
    let mut third = next(&second, RunStatus::Completed);
    third.timers_set = vec![(1, at(60))];
    third.effects = vec![effect(&third, "k", EffectState::Claimed)];
    let early = store.runs.append(third.clone()).await;
    assert!(
        matches!(early, Err(StoreError::Moved { revision: 1, .. })),
        "{early:?}"
    );
    assert_eq!(store.runs.load(run_id(1)).await.expect("kept").0, first.head);
    assert_eq!(store.runs.timers(None, None, 100).await.expect("read"), []);
    assert_eq!(
        store.runs.effects(account_id(1), run_id(1)).await.expect("read"),
        []
    );

    store.runs.append(second.clone()).await.expect("its turn");
    let late = store.runs.append(second.clone()).await;
    assert!(
        matches!(late, Err(StoreError::Moved { revision: 2, .. })),
        "{late:?}"
    );
    store.runs.append(third.clone()).await.expect("its turn");
    assert_eq!(
        store.runs.load(run_id(1)).await.expect("kept"),
        (third.head, third.snapshot)
    );
    assert_eq!(
        store.runs.journal(account_id(1), run_id(1)).await.expect("read"),
        [line(0), line(1), line(2)]
    );
    let ghost = store
        .runs
        .append(next(&run(account_id(1), workflow_id(1), 9), RunStatus::Running))
        .await;
    assert!(matches!(ghost, Err(StoreError::Missing { .. })));
}

pub(crate) async fn of_two_owners_one_moves_the_run(store: &Store) {
    let first = run(account_id(1), workflow_id(1), 1);
    store.runs.create(first.clone()).await.expect("written");
    let attempts = (0..16).map(|owner| {
        let (runs, mut append) = (store.runs.clone(), next(&first, RunStatus::Waiting));
        append.snapshot = vec![owner];
        tokio::spawn(async move { runs.append(append).await })
    });
    let mut winners = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.expect("the task ends by itself") {
            Ok(()) => winners += 1,
            Err(error) => assert!(
                matches!(error, StoreError::Moved { revision: 2, .. }),
                "{error:?}"
            ),
        }
    }
    assert_eq!(winners, 1);
}

pub(crate) async fn timers_and_effects_follow_the_appends(store: &Store) {
    let mut first = run(account_id(1), workflow_id(1), 1);
    first.timers_set = vec![(1, at(60)), (2, at(120))];
    first.effects = vec![effect(&first, "a", EffectState::Claimed)];
    store.runs.create(first.clone()).await.expect("written");
    let mut second = next(&first, RunStatus::Waiting);
    second.timers_cleared = vec![1];
    second.timers_set = vec![(2, at(180)), (3, at(240))];
    let mut confirmed = effect(&first, "a", EffectState::Confirmed);
    confirmed.provider_id = Some("SM1".to_owned());
    second.effects = vec![confirmed.clone(), effect(&first, "b", EffectState::Claimed)];
    store.runs.append(second.clone()).await.expect("written");

    let mut timers = store.runs.timers(None, None, 100).await.expect("read");
    timers.sort();
    let expected = [(at(180), 2), (at(240), 3)].map(|(due, timer)| TimerRow {
        due,
        run_id: run_id(1),
        timer,
    });
    assert_eq!(timers, expected);
    let one = store.runs.timers(None, None, 1).await.expect("read");
    assert_eq!(one, expected[..1]);
    let rest = store
        .runs
        .timers(None, Some(expected[0]), 10)
        .await
        .expect("read");
    assert_eq!(rest, expected[1..]);
    let effects = store.runs.effects(account_id(1), run_id(1)).await.expect("read");
    assert_eq!(effects, [confirmed, effect(&first, "b", EffectState::Claimed)]);
    assert_eq!(store.runs.unparked(None).await.expect("read"), []);
    store
        .runs
        .append(next(&second, RunStatus::Running))
        .await
        .expect("written");
    assert_eq!(store.runs.unparked(None).await.expect("read"), [run_id(1)]);
}

pub(crate) async fn recovery_scans_of_a_shard_see_that_shard_alone(store: &Store) {
    let (here, there) = (
        Shard::new(7).expect("there are 256"),
        Shard::new(8).expect("there are 256"),
    );
    let mut ids = Vec::new();
    for (number, shard) in [(1, here), (2, there), (3, here)] {
        let mut append = run(account_id(1), workflow_id(1), number);
        append.head.id = run_id(number).in_shard(shard);
        append.timers_set = vec![(1, at(60)), (2, at(61))];
        ids.push(append.head.id);
        store.runs.create(append).await.expect("written");
        let lead = Some(lead_id(number).in_shard(shard));
        let fact = observation(account_id(1), lead, number);
        store.observations.record(fact).await.expect("written");
        let mut ring = fact_of_call(account_id(1), number, 0);
        ring.call_id = ring.call_id.in_shard(shard);
        store.calls.record_fact(ring).await.expect("written");
    }
    let moving = store.runs.unparked(Some(here)).await.expect("read");
    assert_eq!(moving, [ids[0], ids[2]]);
    assert_eq!(store.runs.unparked(None).await.expect("read").len(), 3);
    let mut met: Vec<TimerRow> = Vec::new();
    while let Some(timer) = store
        .runs
        .timers(Some(here), met.last().copied(), 1)
        .await
        .expect("read")
        .pop()
    {
        met.push(timer);
    }
    let mut met: Vec<_> = met.iter().map(|timer| (timer.run_id, timer.timer)).collect();
    met.sort_unstable();
    assert_eq!(met, [(ids[0], 1), (ids[0], 2), (ids[2], 1), (ids[2], 2)]);
    let unrouted = store.observations.unrouted(Some(there)).await.expect("read");
    assert_eq!(
        unrouted.iter().map(|fact| fact.id).collect::<Vec<_>>(),
        [observation_id(2)]
    );
    let unsettled = store.calls.unsettled(Some(there)).await.expect("read");
    assert_eq!(
        unsettled.iter().map(|(_, call, _)| *call).collect::<Vec<_>>(),
        [call_id(2).in_shard(there)]
    );
}

pub(crate) async fn lists_filter_by_workflow_lead_and_status(store: &Store) {
    for number in 0..12 {
        let mut append = run(account_id(1), workflow_id(number % 2), number);
        append.head.lead_id = (number % 3 == 0).then(|| lead_id(1));
        append.head.status = match number % 4 {
            0 => RunStatus::Stuck,
            1 => RunStatus::Completed,
            2 => RunStatus::Running,
            _ => RunStatus::Waiting,
        };
        store.runs.create(append).await.expect("written");
    }
    let listed = async |filter: RunFilter| {
        let page = store
            .runs
            .list(account_id(1), filter, PageRequest::default())
            .await
            .expect("read");
        assert_eq!(page.next_cursor, None);
        page.items.into_iter().map(|head| head.id).collect::<Vec<_>>()
    };
    let ids = |numbers: &[u64]| numbers.iter().map(|number| run_id(*number)).collect::<Vec<_>>();
    let (workflow, lead, stuck) = (Some(workflow_id(0)), Some(lead_id(1)), Some(RunStatus::Stuck));
    let any = RunFilter::default;
    assert_eq!(listed(any()).await.len(), 12);
    assert_eq!(
        listed(RunFilter {
            workflow_id: workflow,
            ..any()
        })
        .await,
        ids(&[10, 8, 6, 4, 2, 0])
    );
    assert_eq!(
        listed(RunFilter {
            lead_id: lead,
            ..any()
        })
        .await,
        ids(&[9, 6, 3, 0])
    );
    assert_eq!(
        listed(RunFilter {
            status: stuck,
            ..any()
        })
        .await,
        ids(&[8, 4, 0])
    );
    assert_eq!(
        listed(RunFilter {
            workflow_id: workflow,
            lead_id: lead,
            status: stuck,
            ..any()
        })
        .await,
        ids(&[0])
    );
    assert_eq!(
        listed(RunFilter {
            lead_id: lead,
            only_active: true,
            ..any()
        })
        .await,
        ids(&[6, 3, 0])
    );
}

pub(crate) async fn runs_are_found_by_who_they_are_about_and_when(store: &Store) {
    let mut ann = lead(account_id(1), 1);
    ann.name = "Ann_Lee 100%".to_owned();
    ann.phone = Some("+14155550111".parse().expect("a number"));
    let mut bob = lead(account_id(1), 2);
    bob.name = "Bob".to_owned();
    bob.phone = Some("+14155550222".parse().expect("a number"));
    for one in [&ann, &bob] {
        store.leads.create(one.clone()).await.expect("written");
    }
    let mut started = Vec::new();
    for (number, about) in [(1, &ann), (2, &bob), (3, &ann)] {
        let mut append = run(account_id(1), workflow_id(1), number);
        append.head.lead_id = Some(about.id);
        started.push(append.head.started_at);
        store.runs.create(append).await.expect("written");
    }
    let listed = async |filter: RunFilter| {
        let page = store.runs.list(account_id(1), filter, PageRequest::default());
        let heads = page.await.expect("read").items;
        heads.into_iter().map(|head| head.id).collect::<Vec<_>>()
    };
    let ids = |numbers: &[u64]| numbers.iter().map(|number| run_id(*number)).collect::<Vec<_>>();
    let any = RunFilter::default;
    let text = |text: &str| RunFilter {
        text: Some(text.to_owned()),
        ..any()
    };
    for (wanted, found) in [
        ("ann", &[3, 1][..]),
        ("_lee", &[3, 1]),
        ("100%", &[3, 1]),
        ("5550222", &[2]),
        ("b_b", &[]),
        ("%", &[3, 1]),
    ] {
        assert_eq!(listed(text(wanted)).await, ids(found), "{wanted}");
    }
    let between = RunFilter {
        from: Some(started[1]),
        until: Some(started[2]),
        ..any()
    };
    assert_eq!(listed(between).await, ids(&[2]));
    let elsewhere = store
        .runs
        .list(account_id(2), text("ann"), PageRequest::default());
    assert!(elsewhere.await.expect("read").items.is_empty());
}

pub(crate) async fn enrolment_sees_active_and_earlier_runs(store: &Store) {
    let mut running = run(account_id(1), workflow_id(1), 1);
    running.head.lead_id = Some(lead_id(1));
    let mut waiting = run(account_id(1), workflow_id(1), 2);
    waiting.head.lead_id = Some(lead_id(1));
    waiting.head.status = RunStatus::Waiting;
    store.runs.create(waiting).await.expect("written");
    store.runs.create(running.clone()).await.expect("written");
    let active = store
        .runs
        .active_for_lead(workflow_id(1), lead_id(1))
        .await
        .expect("read");
    assert_eq!(active, [run_id(1), run_id(2)]);
    store
        .runs
        .append(next(&running, RunStatus::Completed))
        .await
        .expect("written");
    let active = store
        .runs
        .active_for_lead(workflow_id(1), lead_id(1))
        .await
        .expect("read");
    assert_eq!(active, [run_id(2)]);
    assert!(
        store
            .runs
            .ever_for_lead(workflow_id(1), lead_id(1))
            .await
            .expect("read")
    );
    assert!(
        !store
            .runs
            .ever_for_lead(workflow_id(2), lead_id(1))
            .await
            .expect("read")
    );
    assert!(
        !store
            .runs
            .ever_for_lead(workflow_id(1), lead_id(2))
            .await
            .expect("read")
    );
}

pub(crate) async fn tallies_follow_the_runs(store: &Store) {
    for number in 0..5 {
        store
            .runs
            .create(run(account_id(1), workflow_id(1), number))
            .await
            .expect("written");
        store
            .runs
            .create(run(account_id(1), workflow_id(1), number))
            .await
            .expect("a repeat counts nothing");
    }
    for (number, status) in [
        (0, RunStatus::Completed),
        (1, RunStatus::Failed),
        (2, RunStatus::Cancelled),
        (3, RunStatus::Waiting),
    ] {
        store
            .runs
            .append(next(&run(account_id(1), workflow_id(1), number), status))
            .await
            .expect("written");
    }
    let counts = store
        .runs
        .counts(account_id(1), workflow_id(1))
        .await
        .expect("read");
    assert_eq!(
        counts,
        RunCounts {
            active: 2,
            completed: 1,
            failed: 1,
            cancelled: 1
        }
    );
    assert_eq!(
        store
            .runs
            .counts(account_id(1), workflow_id(2))
            .await
            .expect("read"),
        RunCounts::default()
    );
}

pub(crate) async fn the_contacts_of_a_run_are_counted_by_where_they_stand(store: &Store) {
    let mut first = run(account_id(1), workflow_id(1), 1);
    let contact = |key: &str, state, error: Option<&str>, seconds| EffectRow {
        request: r#"{"audience":"lead"}"#.to_owned(),
        error: error.map(str::to_owned),
        at: at(seconds),
        ..effect(&first, key, state)
    };
    let effects = vec![
        contact("a", EffectState::Confirmed, None, 10),
        contact("b", EffectState::Confirmed, None, 100),
        contact("c", EffectState::Absent, Some("quiet hours"), 100),
        contact("d", EffectState::Absent, None, 100),
        contact("e", EffectState::Rejected, Some("opted_out"), 100),
        contact("f", EffectState::Unknown, None, 100),
        contact("g", EffectState::Claimed, None, 100),
        EffectRow {
            request: r#"{"audience":"staff"}"#.to_owned(),
            ..contact("h", EffectState::Confirmed, None, 100)
        },
    ];
    first.effects = effects;
    store.runs.create(first).await.expect("written");
    let tally = store
        .runs
        .contact_tally(account_id(1), run_id(1), at(120))
        .await
        .expect("read");
    let expected = ContactTally {
        sent: 2,
        held: 1,
        refused: 1,
        waiting: 2,
        unknown: 1,
        sent_last_minute: 1,
    };
    assert_eq!(tally, expected);
    let foreign = store.runs.contact_tally(account_id(2), run_id(1), at(120)).await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
}
