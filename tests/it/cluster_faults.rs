//! What happens to a node of three under load: killed again and again, frozen, cut off; and very many parked runs whose node dies.
//!
//! Long, so not part of `make test`: `scripts/bench-cluster` runs them and shows the lines they print as a table.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    api::http,
    cluster::{Cluster, LEASE_TTL_S, Setup},
    eventually::{a_moment, eventually_within},
    load::Load,
};

/// The goal of a takeover, from the fault to when others act for everything.
const TAKEOVER_MAX: Duration = Duration::from_secs(10);
/// A node that is frozen, or cut off, stays so well past its lease.
const AWAY: Duration = Duration::from_secs(30);
/// Both effects of the workflow that the load starts.
const BOTH: &[&str] = &["/first", "/second"];
/// Times a node is killed, unless `PATCHCORD_KILLS` says another number.
const KILLS: usize = 10;
/// So long before the parked runs are due their node dies: it is missed by then.
const BEFORE_DUE: Duration = Duration::from_secs(15);
/// For 100,000 timers on a busy machine.
const FIRE_WITHIN: Duration = Duration::from_secs(3_600);

/// One line of the table.
fn tell(what: &str, measured: &str) {
    println!("| {what} | {measured} |");
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten kills take some minutes: scripts/bench-cluster"]
async fn nodes_that_are_killed_again_and_again_under_load() {
    let mut cluster = Cluster::start(Setup::shared("kills"), 3).await;
    cluster.two_webhooks().await;
    let (mut takeovers, kills) = (Vec::new(), number("PATCHCORD_KILLS", KILLS));
    let load = Load::on(&cluster);
    for round in 0..kills {
        let victim = 1 + round % 2;
        a_moment(Duration::from_secs(3)).await;
        cluster.nodes[victim].server.kill9().await;
        takeovers.push(cluster.until_spread(&[0, 3 - victim]).await);
        cluster.nodes[victim].server.start_again().await;
        cluster.until_spread(&[0, 1, 2]).await;
    }
    let brought = load.end().await;
    let (again, _) = cluster.until_all_done(BOTH, brought.accepted).await;
    takeovers.sort_unstable();
    let longest = takeovers[kills - 1];
    tell(
        &format!("SIGKILL under load, {kills} times: events accepted, lost, repeated"),
        &format!("{}, 0, 0", brought.accepted),
    );
    tell("– in doubt, made again under their key", &again.to_string());
    tell(
        &format!("– takeover, median and longest (lease {LEASE_TTL_S} s)"),
        &format!("{}, {}", seconds(takeovers[kills / 2]), seconds(longest)),
    );
    assert!(longest <= TAKEOVER_MAX, "{takeovers:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "30 s of frost and as much around it: scripts/bench-cluster"]
async fn a_node_that_is_frozen_and_wakes_up_does_nothing_twice() {
    let cluster = Cluster::start(Setup::shared("frozen").with_lines(), 3).await;
    cluster.two_webhooks().await;
    let load = Load::on(&cluster);
    a_moment(Duration::from_secs(5)).await;
    cluster.nodes[2].server.signal("STOP").await;
    let frozen = Instant::now();
    let takeover = cluster.until_spread(&[0, 1]).await;
    a_moment(AWAY.saturating_sub(frozen.elapsed())).await;
    cluster.nodes[2].server.signal("CONT").await;
    cluster.until_spread(&[0, 1, 2]).await;
    let brought = load.end().await;
    let (again, _) = cluster.until_all_done(BOTH, brought.accepted).await;
    tell(
        "SIGSTOP for 30 s, then SIGCONT: events accepted, lost, repeated",
        &format!("{}, 0, 0", brought.accepted),
    );
    tell("– in doubt, made again under their key", &again.to_string());
    tell("– takeover", &seconds(takeover));
    let fenced = cluster.nodes[2].metric("patchcord_fenced_total").await;
    tell(
        "– inputs that the woken node gave up",
        &fenced.unwrap_or(0.0).to_string(),
    );
    assert!(takeover <= TAKEOVER_MAX, "{takeover:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "30 s of a cut and as much around it: scripts/bench-cluster"]
async fn a_node_that_is_cut_off_is_taken_over_and_its_late_writes_are_refused() {
    let cluster = Cluster::start(Setup::shared("cut").with_lines(), 3).await;
    cluster.two_webhooks().await;
    let load = Load::on(&cluster);
    a_moment(Duration::from_secs(5)).await;
    cluster.cut_off(2);
    let cut = Instant::now();
    let takeover = cluster.until_spread(&[0, 1]).await;
    a_moment(AWAY.saturating_sub(cut.elapsed())).await;
    cluster.mend();
    cluster.until_spread(&[0, 1, 2]).await;
    let brought = load.end().await;
    let (again, _) = cluster.until_all_done(BOTH, brought.accepted).await;
    tell(
        "Cut off for 30 s, then mended: events accepted, lost, repeated",
        &format!("{}, 0, 0", brought.accepted),
    );
    tell("– in doubt, made again under their key", &again.to_string());
    tell("– takeover", &seconds(takeover));
    let (sent, refused, applied) = cluster.nodes[2].late_writes();
    tell(
        "– late writes of the cut-off node that arrived, refused, applied",
        &format!("{}, {refused}, {applied} ({sent} sent)", refused + applied),
    );
    assert!(takeover <= TAKEOVER_MAX, "{takeover:?}");
    assert_eq!(applied, 0, "every late write is refused");
    assert!(refused > 0, "no write arrived late: the round shows nothing");
}

/// A number from the environment, for a machine with less time.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "100,000 runs take a quarter of an hour: scripts/bench-cluster"]
async fn the_timers_of_a_node_that_dies_fire_on_the_others_once() {
    let parked = number("PATCHCORD_PARKED", 100_000);
    let due_in = Duration::from_secs(number("PATCHCORD_PARKED_DUE_S", 600).try_into().expect("seconds"));
    let mut cluster = Cluster::start(Setup::shared("parked"), 3).await;
    cluster.wake_up_call().await;
    let began = Instant::now();
    let (due_at, due) = (began + due_in, patchcord::clock::now().plus(due_in));
    // What does not fit into the time is left out, and the number says so.
    let parked = park(&cluster, parked, &due.to_string(), due_at - BEFORE_DUE * 3).await;
    let parking = began.elapsed();
    tell(
        "Parked runs over three nodes",
        &format!(
            "{parked} in {} ({:.0}/s)",
            seconds(parking),
            per_second(parked, parking)
        ),
    );
    let until_kill = (due_at - BEFORE_DUE).checked_duration_since(Instant::now());
    a_moment(until_kill.expect("parking ends well before they are due")).await;
    let held = cluster.nodes[2]
        .metric("patchcord_shards_held")
        .await
        .unwrap_or(0.0);
    cluster.nodes[2].server.kill9().await;
    let takeover = cluster.until_spread(&[0, 1]).await;
    tell(&format!("– takeover of {held} shards"), &seconds(takeover));
    let fired = wait_for_all(&cluster, parked, due_at).await;
    tell(
        "– all timers fired on the two others after they were due",
        &seconds(fired),
    );
    tell("– rate", &format!("{:.0}/s", per_second(parked, fired)));
    let counts = cluster.sink.counts("/woken");
    let twice = counts.values().filter(|count| **count > 1).count();
    tell(
        "– lost, fired twice",
        &format!("{}, {twice}", parked - counts.len()),
    );
    assert_eq!((counts.len(), twice), (parked, 0));
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).expect("not that many")) / time.as_secs_f64()
}

/// Brings events that each start a run which waits until `due`: 24 at once, to all nodes in turn, no more of them after `until`. Returns how
/// many it brought.
async fn park(cluster: &Cluster, count: usize, due: &str, until: Instant) -> usize {
    let doors: Vec<(String, &str)> = cluster
        .nodes
        .iter()
        .map(|node| {
            (
                node.server.at("/api/events"),
                node.server.ready().access_token.as_str(),
            )
        })
        .collect();
    let in_time = (0..count).take_while(|_| Instant::now() < until);
    let sent = futures_util::stream::iter(in_time).map(|number| {
        let (url, token) = &doors[number % doors.len()];
        let event =
            json!({"type": "quote.sent", "id": format!("p-{number}"), "data": {"n": number, "due": due}});
        async move {
            for _ in 0..10 {
                let request = http().post(url).bearer_auth(token).json(&event);
                if request
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
                {
                    return;
                }
                a_moment(Duration::from_millis(100)).await;
            }
            panic!("nobody takes event {number}");
        }
    });
    sent.buffer_unordered(24).count().await
}

/// Waits until the sink has heard of all, and as long again as nothing more comes; returns how long after `due_at` the last came.
async fn wait_for_all(cluster: &Cluster, count: usize, due_at: Instant) -> Duration {
    eventually_within(FIRE_WITHIN, "every timer has fired", || async {
        a_moment(Duration::from_secs(1)).await;
        (cluster.sink.count() >= count).then_some(())
    })
    .await;
    let last = cluster
        .sink
        .arrivals()
        .last()
        .map_or(due_at, |arrival| arrival.at);
    // What fires twice shows within the second reading of a takeover.
    a_moment(Duration::from_secs(20)).await;
    last.saturating_duration_since(due_at)
}
