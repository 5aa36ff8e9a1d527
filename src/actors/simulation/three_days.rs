//! A wait of three days, twenty restarts and a publish in between: it fires once, in time, on the version it began with.

use std::time::Duration;

use serde_json::json;

use super::{
    life::{Life, in_virtual_time},
    provider::Provider,
    saga::{self, BEGIN, account_id, open_account, publish},
    weather::Storm,
};
use crate::{
    clock,
    domain::{
        ids::ObservationId,
        observation::{EventType, Observation},
        run::RunStatus,
        time::Timestamp,
    },
    store::sqlite::inline::Inline,
};

const KIND: &str = "shop.long_wait";
const RESTARTS: u32 = 20;
const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3_600);

fn definition(after: &str) -> String {
    json!({"name": KIND, "enabled": true, "trigger": {"type": KIND},
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "3d"}}, saga::webhook(after)],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": after}]})
    .to_string()
}

#[test]
fn a_three_day_wait_across_twenty_restarts_and_a_publish_fires_once_in_time_on_its_version() {
    let storm = Storm::new(1);
    let provider = Provider::new(1);
    provider.calm();
    let disk = Inline::new(storm);
    let begun = Timestamp::from_unix_millis(BEGIN);
    let furnish = async {
        let store = disk.open();
        open_account(&store).await?;
        publish(&store, KIND, 1, &definition("old_way")).await
    };
    let (furnished, mut now) = in_virtual_time(begun, furnish);
    furnished.expect("a calm store takes it");
    let mut due = begun;
    for restart in 0..=RESTARTS {
        let life = async {
            let life = Life::begin(disk.open(), provider.clone())
                .await
                .expect("a calm start");
            if restart == 0 {
                due = clock::now().plus(THREE_DAYS);
                let observation = Observation {
                    id: ObservationId::fresh(),
                    account_id: account_id(),
                    kind: EventType::new(KIND),
                    at: clock::now(),
                    lead_id: None,
                    call_id: None,
                    caused_by: None,
                    trace: None,
                    data: json!({"n": 1}),
                };
                life.leads.observe(observation).await.expect("it is kept");
            }
            if restart == RESTARTS / 2 {
                let published = publish(&life.store, KIND, 2, &definition("new_way")).await;
                published.expect("it is published");
            }
            // The last life begins an hour before the time and stays for two.
            let stays = if restart == RESTARTS {
                Duration::from_secs(2 * 3_600)
            } else {
                THREE_DAYS.saturating_sub(Duration::from_secs(3_600)) / RESTARTS
            };
            tokio::time::sleep(stays).await;
            saga::all_runs(&life.store).await.expect("a calm store answers")
        };
        let (runs, after) = in_virtual_time(now, life);
        now = after;
        let status: Vec<_> = runs.iter().map(|run| run.status).collect();
        let expected = if restart == RESTARTS {
            RunStatus::Completed
        } else {
            RunStatus::Waiting
        };
        assert_eq!(status, [expected], "after life {restart}");
    }
    let deeds: Vec<_> = provider.deeds().into_values().flatten().collect();
    let [deed] = deeds.as_slice() else {
        panic!("it was done {} times", deeds.len())
    };
    assert_eq!(deed.effect.node, "old_way");
    assert!(deed.at >= due, "early");
    let lag = deed.at.since(due);
    assert!(lag < Duration::from_secs(1), "{lag:?} late");
    println!(
        "3 days, {RESTARTS} restarts, 1 publish: fired once, {} ms after its time",
        lag.as_millis()
    );
}
