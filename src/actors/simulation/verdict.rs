//! The verdict on a saga: no effect lost, none repeated, timers once and not early, every run ended, order per lead.

use std::collections::BTreeMap;

use super::{
    provider::{Deed, Provider},
    saga::{Event, Tale, VISIT, account_id, acting_nodes, all_runs, workflow_id},
};
use crate::{
    actors::runs::triggered_run_id,
    domain::{ids::RunId, run::RunStatus, time::Timestamp},
    store::{PageRequest, Store},
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
    let mut calls = calls_of_people(store).await?;
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
        let entries = entries_of(store, run, event).await?;
        timers_rang_once(&entries, event)?;
        let asked = entries
            .iter()
            .filter(|(_, entry)| matches!(entry, Entry::Asked { .. }));
        let (asked, called) = (asked.count(), calls.remove(&run).unwrap_or_default());
        if asked != called {
            return Err(format!(
                "event {}: asked {asked} times, and called people {called} times",
                event.number
            ));
        }
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

/// How often people were called to decide about each run.
async fn calls_of_people(store: &Store) -> Result<BTreeMap<RunId, usize>, String> {
    let mut calls = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = PageRequest { limit: 200, cursor };
        let page = store.alerts.list(account_id(), page).await;
        let page = page.map_err(|error| error.to_string())?;
        let calling = page.items.iter().filter(|alert| alert.kind == "outcome_unknown");
        for run in calling.filter_map(|alert| alert.run_id) {
            *calls.entry(run).or_default() += 1;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(calls);
        }
    }
}

async fn entries_of(store: &Store, run: RunId, event: &Event) -> Result<Vec<(Timestamp, Entry)>, String> {
    let lines = store.runs.journal(account_id(), run).await;
    let lines = lines.map_err(|error| error.to_string())?;
    let entries = lines.iter().map(|line| match Entry::from_json(&line.entry) {
        Ok(entry) => Ok((line.at, entry)),
        Err(error) => Err(format!(
            "event {}: a journal line is broken: {error}",
            event.number
        )),
    });
    entries.collect()
}

/// Each pause of the run ended once, and not before its time.
fn timers_rang_once(entries: &[(Timestamp, Entry)], event: &Event) -> Result<(), String> {
    let (mut until, mut ended) = (None, Vec::new());
    for (at, entry) in entries {
        match entry {
            Entry::NodeWaiting { until: moment, .. } => until = *moment,
            Entry::NodeDone { node, .. } if node == "pause" => ended.push(*at),
            _ => {}
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
