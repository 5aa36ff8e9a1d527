//! Rounds at chosen moments over a real store and real actors.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    actors::{plans::Plans, schedules::Rounds},
    app::{App, test_app},
    clock,
    domain::{
        ids::{AccountId, LeadId, ObservationId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        time::{Timestamp, millis_of},
    },
    store::{
        PageRequest,
        conformance::samples,
        runs::{RunFilter, RunHead},
        workflows::{WorkflowRow, WorkflowVersion},
    },
};

/// The longest that the schedules sleep.
const SLEEP_MAX: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

/// A server that nobody reaches, and the rounds of its schedules.
struct Bench {
    rounds: Rounds,
    account_id: AccountId,
    _app: App,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let (app, folder) = test_app::build().await;
        let account_id = samples::account_id(1);
        app.store
            .accounts
            .create_account(samples::account(1), samples::user(account_id, 1))
            .await
            .expect("written");
        let rounds = Rounds {
            store: app.store.clone(),
            plans: Plans::new(app.store.clone()),
            runs: app.context.runs.clone(),
            leads: app.context.leads.clone(),
            ownership: crate::actors::cluster::Ownership::sole(),
        };
        Self {
            rounds,
            account_id,
            _app: app,
            _folder: folder,
        }
    }

    async fn publish(&self, trigger: &Value, at: Timestamp) -> WorkflowRow {
        let definition = json!({"name": "w", "trigger": trigger, "settings": {"timezone": "America/New_York"},
            "nodes": [{"id": "task", "type": "create_task", "params": {"title": "{{ trigger.type }}"}}],
            "edges": [{"from": "trigger", "to": "task"}]});
        let row = WorkflowRow {
            id: WorkflowId::fresh(),
            draft: definition.to_string(),
            trigger: trigger["type"].as_str().unwrap_or_default().to_owned(),
            created_at: at,
            updated_at: at,
            ..samples::workflow(self.account_id, 1)
        };
        let version = WorkflowVersion {
            definition: definition.to_string(),
            published_at: at,
            ..samples::version(row.id, 1)
        };
        let workflows = &self.rounds.store.workflows;
        workflows
            .create(row.clone(), Some(version))
            .await
            .expect("written");
        // From here on the server's own clock, which lies before, has nothing to do.
        self.look(at).await;
        row
    }

    async fn switch(&self, row: &mut WorkflowRow, enabled: bool, at: Timestamp) {
        row.enabled = enabled;
        row.updated_at = at;
        row.revision += 1;
        self.rounds
            .store
            .workflows
            .update(row.clone(), None)
            .await
            .expect("written");
    }

    async fn lead(&self, birthday: Option<&str>) -> Lead {
        let now = clock::now();
        let mut lead: Lead = serde_json::from_value(json!({
            "id": LeadId::fresh(), "account_id": self.account_id, "name": "Ada Lovelace", "phone": null, "email": null,
            "score": 0, "stage": "new", "timezone": "Asia/Kolkata", "opted_out": false, "fields": {},
            "created_at": now, "updated_at": now,
        }))
        .expect("a lead");
        lead.fields
            .extend(birthday.map(|day| ("birthday".to_owned(), json!(day))));
        self.rounds
            .store
            .leads
            .create(lead.clone())
            .await
            .expect("written");
        lead
    }

    async fn observe(&self, kind: EventType, lead: &Lead, at: Timestamp, data: Value) {
        let observation = Observation {
            id: ObservationId::fresh(),
            account_id: self.account_id,
            kind,
            at,
            lead_id: Some(lead.id),
            call_id: None,
            caused_by: None,
            trace: None,
            data,
        };
        self.rounds.leads.observe(observation).await.expect("kept");
    }

    async fn look(&self, at: Timestamp) -> Timestamp {
        self.rounds.round(at).await.expect("a round")
    }

    async fn runs(&self) -> Vec<RunHead> {
        let page = PageRequest {
            limit: 100,
            cursor: None,
        };
        let runs = self
            .rounds
            .store
            .runs
            .list(self.account_id, RunFilter::default(), page)
            .await;
        runs.expect("read").items
    }
}

/// Midnight in UTC of a day that lies ahead, so that the server's own clock has nothing to do here.
fn midnight() -> Timestamp {
    let days = clock::now().as_unix_millis() / millis_of(DAY) + 2;
    Timestamp::from_unix_millis(days * millis_of(DAY))
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3_600)
}

#[tokio::test]
async fn a_fire_starts_one_run_however_often_it_is_looked_at() {
    let bench = Bench::new().await;
    let begin = midnight();
    bench
        .publish(
            &json!({"type": "schedule", "cron": "0 12 * * *", "timezone": "UTC"}),
            begin,
        )
        .await;
    let next = bench.look(begin.plus(hours(1))).await;
    assert!(next <= begin.plus(hours(1)).plus(SLEEP_MAX));
    assert_eq!(bench.runs().await.len(), 0);
    for late in [0, 1, 1] {
        bench
            .look(begin.plus(hours(12)).plus(Duration::from_millis(late)))
            .await;
    }
    let runs = bench.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].trigger, "schedule");
    bench.look(begin.plus(hours(36))).await;
    assert_eq!(bench.runs().await.len(), 2);
}

#[tokio::test]
async fn missed_fires_are_caught_up_once_or_skipped_and_a_switched_off_workflow_misses_none() {
    let bench = Bench::new().await;
    let begin = midnight();
    let mut once = bench
        .publish(&json!({"type": "schedule", "cron": "0 * * * *"}), begin)
        .await;
    let skip = json!({"type": "schedule", "cron": "0 * * * *", "catch_up": "skip"});
    let skip = bench.publish(&skip, begin).await;
    bench.look(begin.plus(Duration::from_secs(1))).await;
    // Ten hours nobody looked.
    bench
        .look(begin.plus(hours(10)).plus(Duration::from_secs(1_800)))
        .await;
    let count = |runs: &[RunHead], id| runs.iter().filter(|run| run.workflow_id == id).count();
    let runs = bench.runs().await;
    assert_eq!((count(&runs, once.id), count(&runs, skip.id)), (1, 0));
    bench.look(begin.plus(hours(11))).await;
    let runs = bench.runs().await;
    assert_eq!((count(&runs, once.id), count(&runs, skip.id)), (2, 1));
    bench.switch(&mut once, false, begin.plus(hours(11))).await;
    bench.look(begin.plus(hours(13))).await;
    bench
        .switch(
            &mut once,
            true,
            begin.plus(hours(14)).plus(Duration::from_secs(60)),
        )
        .await;
    bench
        .look(begin.plus(hours(14)).plus(Duration::from_secs(120)))
        .await;
    assert_eq!(count(&bench.runs().await, once.id), 2);
    bench.look(begin.plus(hours(15))).await;
    assert_eq!(count(&bench.runs().await, once.id), 3);
}

#[tokio::test]
async fn an_unpaid_quote_starts_a_run_when_its_wait_is_over_and_a_paid_one_does_not() {
    let bench = Bench::new().await;
    let begin = midnight();
    bench
        .publish(&json!({"type": "quote.unpaid", "after": "24h"}), begin)
        .await;
    let (unpaid, paid, other) = (
        bench.lead(None).await,
        bench.lead(None).await,
        bench.lead(None).await,
    );
    bench.look(begin).await;
    for lead in [&unpaid, &paid, &other] {
        bench
            .observe(
                EventType::QUOTE_SENT,
                lead,
                begin.plus(hours(1)),
                json!({"quote_id": "Q1"}),
            )
            .await;
    }
    bench
        .observe(
            EventType::PAYMENT_RECEIVED,
            &paid,
            begin.plus(hours(2)),
            json!({"amount": 5}),
        )
        .await;
    bench
        .observe(
            EventType::PAYMENT_RECEIVED,
            &other,
            begin.plus(hours(2)),
            json!({"quote_id": "Q2"}),
        )
        .await;
    let next = bench.look(begin.plus(hours(24))).await;
    assert_eq!(bench.runs().await.len(), 0);
    assert!(next <= begin.plus(hours(25)));
    bench.look(begin.plus(hours(25))).await;
    bench.look(begin.plus(hours(26))).await;
    let leads: Vec<_> = bench.runs().await.iter().filter_map(|run| run.lead_id).collect();
    assert_eq!(leads.len(), 2);
    assert!(leads.contains(&unpaid.id) && leads.contains(&other.id));
}

#[tokio::test]
async fn of_more_facts_than_are_read_at_once_none_is_passed_over() {
    let bench = Bench::new().await;
    let begin = midnight();
    let workflow = bench
        .publish(&json!({"type": "purchase.completed", "after": "1h"}), begin)
        .await;
    let lead = bench.lead(None).await;
    // The five hundredth and the one after it, where a page of the store ends, share their moment.
    let facts = (1..=520_u64).map(|number| Observation {
        id: ObservationId::fresh(),
        account_id: bench.account_id,
        kind: EventType::PURCHASE_COMPLETED,
        at: begin.plus(Duration::from_millis(number - u64::from(number == 501))),
        lead_id: Some(lead.id),
        call_id: None,
        caused_by: None,
        trace: None,
        data: json!({}),
    });
    let kept = facts.map(|fact| bench.rounds.store.observations.record(fact));
    for kept in futures_util::future::join_all(kept).await {
        kept.expect("kept");
    }
    bench.look(begin.plus(hours(2))).await;
    let runs = &bench.rounds.store.runs;
    let counts = runs.counts(bench.account_id, workflow.id).await.expect("read");
    assert_eq!(counts.active + counts.completed, 520);
}

#[tokio::test]
async fn a_wait_after_a_purchase_starts_late_and_a_trigger_without_one_at_once() {
    let bench = Bench::new().await;
    let begin = midnight();
    let late = bench
        .publish(&json!({"type": "purchase.completed", "after": "7d"}), begin)
        .await;
    bench.look(begin).await;
    let lead = bench.lead(None).await;
    bench
        .observe(EventType::PURCHASE_COMPLETED, &lead, begin, json!({}))
        .await;
    bench.look(begin.plus(DAY * 6)).await;
    assert_eq!(bench.runs().await.len(), 0);
    bench.look(begin.plus(DAY * 7)).await;
    bench.look(begin.plus(DAY * 7).plus(hours(1))).await;
    let runs = bench.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].workflow_id, runs[0].lead_id), (late.id, Some(lead.id)));
}

#[tokio::test]
async fn a_birthday_begins_at_nine_in_the_leads_zone_and_once_a_year() {
    let bench = Bench::new().await;
    let begin = midnight();
    let workflow = bench.publish(&json!({"type": "lead.birthday"}), begin).await;
    let date = crate::workflows::calendar::local(begin, &crate::workflows::calendar::Zone::utc()).date;
    let day = format!("1990-{:02}-{:02}", date.month(), date.day());
    let (born, _other) = (bench.lead(Some(&day)).await, bench.lead(Some("1990-01-00")).await);
    bench.look(begin).await;
    // 09:00 in Kolkata is 03:30 UTC.
    bench.look(begin.plus(hours(3))).await;
    bench
        .look(begin.plus(hours(3)).plus(Duration::from_secs(1_799)))
        .await;
    let first = bench
        .rounds
        .store
        .observations
        .of_lead_since(bench.account_id, born.id, begin)
        .await;
    assert_eq!(first.expect("read").len(), 0);
    for late in [1_800, 1_801, 7_200] {
        bench
            .look(begin.plus(hours(3)).plus(Duration::from_secs(late)))
            .await;
    }
    let facts = bench
        .rounds
        .store
        .observations
        .of_lead_since(bench.account_id, born.id, begin)
        .await;
    let facts = facts.expect("read");
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].kind, EventType::LEAD_BIRTHDAY);
    let run_id = crate::actors::runs::triggered_run_id(&facts[0], workflow.id);
    let started = tokio::time::timeout(Duration::from_secs(20), async {
        while bench
            .rounds
            .store
            .runs
            .head(bench.account_id, run_id)
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    });
    started.await.expect("its run is started");
}
