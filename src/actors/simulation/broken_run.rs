//! A run that cannot be read any more keeps nobody else from going on.

use std::time::Duration;

use serde_json::json;

use super::{
    life::{Life, in_virtual_time},
    provider::Provider,
    saga::{self, BEGIN, account_id, lead_id, open_account, publish, workflow_id},
    weather::Storm,
};
use crate::{
    clock,
    domain::{
        ids::ObservationId,
        lead::Lead,
        observation::{EventType, Observation},
        run::RunStatus,
        time::Timestamp,
    },
    store::{conformance::samples, sqlite::inline::Inline},
};

const KIND: &str = "shop.order";

#[test]
fn a_lead_goes_on_beside_a_run_of_its_own_that_cannot_be_read() {
    let disk = Inline::new(Storm::new(1));
    let provider = Provider::new(1);
    provider.calm();
    let definition = json!({"name": KIND, "enabled": true, "trigger": {"type": KIND},
        "nodes": [saga::webhook("first")], "edges": [{"from": "trigger", "to": "first"}]});
    let life = async {
        let store = disk.open();
        open_account(&store).await?;
        publish(&store, KIND, 1, &definition.to_string()).await?;
        let lead = Lead::nameless(lead_id(0), account_id(), clock::now());
        store.leads.create(lead).await?;
        let mut broken = samples::run(account_id(), workflow_id(KIND), 1);
        broken.head.lead_id = Some(lead_id(0));
        broken.head.status = RunStatus::Waiting;
        let broken_id = broken.head.id;
        store.runs.create(broken).await?;
        let life = Life::begin(store, provider.clone()).await?;
        let observation = Observation {
            id: ObservationId::fresh(),
            account_id: account_id(),
            kind: EventType::new(KIND),
            at: clock::now(),
            lead_id: Some(lead_id(0)),
            call_id: None,
            caused_by: None,
            trace: None,
            data: json!({"n": 1}),
        };
        life.leads.observe(observation).await?;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let mut runs = saga::all_runs(&life.store).await.expect("a calm store answers");
        runs.retain(|run| run.id != broken_id);
        anyhow::Ok(runs)
    };
    let (runs, _) = in_virtual_time(Timestamp::from_unix_millis(BEGIN), life);
    let runs = runs.expect("a calm store takes it all");
    let status: Vec<_> = runs.iter().map(|run| run.status).collect();
    assert_eq!(status, [RunStatus::Completed]);
}
