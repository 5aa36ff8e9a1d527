//! The verdict on a saga: no effect lost, none repeated, timers once and not early, every run ended, order per lead.

use std::collections::BTreeMap;

use super::{
    provider::{Deed, Provider},
    saga::{Event, Tale, VISIT, account_id, acting_nodes, all_runs, workflow_id},
};
use crate::{
    actors::runs::triggered_run_id,
    domain::{ids::RunId, run::RunStatus, time::Timestamp},
    store::Store,
    workflows::{Entry, Provider as Kind},
};

/// Judges what is in the store and what the provider has done.
///
/// # Errors
/// The first promise that was broken, in words.
pub(super) async fn of(store: &Store, provider: &Provider, events: &[Event]) -> Result<Tale, String> {
    let runs: BTreeMap<RunId, RunStatus> = all_runs(store)
        .await?
        .into_iter()
        .map(|head| (head.id, head.status))
        .collect();
    let mut deeds = provider.deeds();
    let mut visits: BTreeMap<u64, Vec<(u64, Timestamp)>> = BTreeMap::new();
    let mut effects = 0;
    for event in events {
        let run = run_of(store, event).await?;
        match runs.get(&run) {
            Some(RunStatus::Completed) => {}
            Some(status) => return Err(format!("event {}: its run is {status:?}", event.number)),
            None => return Err(format!("event {}: accepted, but it has no run", event.number)),
        }
        timers_rang_once(store, run, event).await?;
        for node in acting_nodes(event.kind) {
            let done = deeds
                .remove(&format!("{run}/{node}/0/0"))
                .ok_or_else(|| format!("event {}: the effect of {node} is lost", event.number))?;
            carried_out_once(&done).map_err(|why| format!("event {}: {node} {why}", event.number))?;
            effects += 1;
            if *node == "greet"
                && let (Some(lead), Some(first)) = (event.lead, done.first())
            {
                visits.entry(lead).or_default().push((event.number, first.at));
            }
        }
    }
    if let Some(key) = deeds.keys().next() {
        return Err(format!("nobody asked for {key}"));
    }
    in_order(&visits)?;
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    if u64::try_from(runs.len()) != Ok(count) {
        return Err(format!("{count} events led to {} runs", runs.len()));
    }
    Ok(Tale {
        runs: count,
        effects,
        ..Tale::default()
    })
}

async fn run_of(store: &Store, event: &Event) -> Result<RunId, String> {
    let kept = store.observations.get(account_id(), event.id()).await;
    let kept = kept.map_err(|error| format!("event {} was accepted and is gone: {error}", event.number))?;
    Ok(triggered_run_id(&kept, workflow_id(event.kind)))
}

/// A receiver that keeps keys drops repeats; one that keeps none must hear of an effect once.
fn carried_out_once(done: &[Deed]) -> Result<(), String> {
    let keeps_keys = done
        .first()
        .is_some_and(|deed| deed.effect.provider() == Kind::Webhook);
    let is_same = done
        .windows(2)
        .all(|pair| matches!(pair, [one, other] if one.effect.request == other.effect.request));
    if !is_same {
        return Err("asked for different things under one key".to_owned());
    }
    if !keeps_keys && done.len() != 1 {
        return Err(format!("was carried out {} times", done.len()));
    }
    Ok(())
}

/// Each pause of the run ended once, and not before its time.
async fn timers_rang_once(store: &Store, run: RunId, event: &Event) -> Result<(), String> {
    let lines = store.runs.journal(account_id(), run).await;
    let lines = lines.map_err(|error| error.to_string())?;
    let (mut until, mut ended) = (None, Vec::new());
    for line in &lines {
        match Entry::from_json(&line.entry) {
            Ok(Entry::NodeWaiting { until: moment, .. }) => until = moment,
            Ok(Entry::NodeDone { node, .. }) if node == "pause" => ended.push(line.at),
            Ok(_) => {}
            Err(error) => {
                return Err(format!(
                    "event {}: a journal line is broken: {error}",
                    event.number
                ));
            }
        }
    }
    match (until, ended.as_slice()) {
        (None, []) => Ok(()),
        (Some(due), [at]) if *at >= due => Ok(()),
        (Some(_), [_]) => Err(format!("event {}: its timer rang early", event.number)),
        (_, rang) => Err(format!(
            "event {}: its timer rang {} times",
            event.number,
            rang.len()
        )),
    }
}

/// The runs of a queue follow one another as their events did.
fn in_order(visits: &BTreeMap<u64, Vec<(u64, Timestamp)>>) -> Result<(), String> {
    for (lead, visits) in visits {
        let is_ordered = visits
            .windows(2)
            .all(|pair| matches!(pair, [(_, earlier), (_, later)] if earlier < later));
        if !is_ordered {
            return Err(format!("lead {lead}: {VISIT} out of order: {visits:?}"));
        }
    }
    Ok(())
}
