//! The shared stream against a real server that is killed and flushed.

use std::time::Duration;

use crate::{
    bus::{
        live::{LiveFact, LiveMessage},
        local::{LocalBus, Next, Subscription},
        redis::test_server::TestRedis,
    },
    domain::{
        ids::{AccountId, CallId},
        time::Timestamp,
    },
};

/// How long a fact may take from node to node on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn fact(number: u64) -> LiveFact {
    LiveFact::SentimentTrend {
        call_id: CallId::derived(Timestamp::default(), &[b"a call"]),
        trend: 0.5,
        at_ms: number,
    }
}

fn number_of(message: &LiveMessage) -> u64 {
    match message.fact {
        LiveFact::SentimentTrend { at_ms, .. } => at_ms,
        _ => panic!("another fact: {message:?}"),
    }
}

fn say(bus: &LocalBus, account: AccountId, number: u64) {
    bus.publish(account, Timestamp::from_unix_millis(number), fact(number));
}

/// What comes next: a fact's number and cursor, or nothing for a gap.
async fn next(watcher: &mut Subscription) -> Option<(u64, String)> {
    match tokio::time::timeout(SOON, watcher.next()).await.expect("in time") {
        Next::Fact(message) => Some((number_of(&message), message.cursor.clone())),
        Next::Lost => None,
        other => panic!("{other:?}"),
    }
}

async fn numbers(watcher: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(next(watcher).await.expect("no gap").0);
    }
    numbers
}

fn replayed(watcher: &Subscription) -> Vec<u64> {
    watcher.replay.iter().map(|message| number_of(message)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_every_nodes_facts_and_goes_on_elsewhere_where_it_stopped() {
    let server = TestRedis::start().await;
    let (one, two) = (
        LocalBus::shared(1, server.redis()),
        LocalBus::shared(2, server.redis()),
    );
    let (mine, other) = (AccountId::fresh(), AccountId::fresh());
    let mut watcher = one.subscribe(mine, None).await;
    assert!(!watcher.gap);
    let beginning = watcher.cursor.clone();
    say(&two, mine, 1);
    assert_eq!(numbers(&mut watcher, 1).await, [1]);
    say(&one, other, 7);
    say(&one, mine, 2);
    let (number, cursor) = next(&mut watcher).await.expect("no gap");
    assert_eq!(number, 2);
    drop(watcher);
    say(&one, mine, 3);
    // The writer keeps the order of one node, so what a watcher of it has seen is in Redis.
    let mut other_node = two.subscribe(mine, Some(&cursor)).await;
    assert!(!other_node.gap);
    let mut seen = replayed(&other_node);
    while seen.is_empty() {
        seen.extend(numbers(&mut other_node, 1).await);
    }
    assert_eq!(seen, [3]);
    let from_the_start = two.subscribe(mine, Some(&beginning)).await;
    assert!(!from_the_start.gap);
    assert_eq!(replayed(&from_the_start), [1, 2, 3]);
    assert!(
        two.subscribe(mine, Some("7-1")).await.gap,
        "a cursor of one process"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_node_shows_its_own_facts_and_everybody_is_told_of_the_gap_after() {
    let mut server = TestRedis::start().await;
    let (one, two) = (
        LocalBus::shared(1, server.redis()),
        LocalBus::shared(2, server.redis()),
    );
    let account = AccountId::fresh();
    let mut here = one.subscribe(account, None).await;
    let mut there = two.subscribe(account, None).await;
    say(&one, account, 1);
    assert_eq!(numbers(&mut here, 1).await, [1]);
    let (_, cursor) = next(&mut there).await.expect("no gap");
    server.kill().await;
    say(&one, account, 2);
    say(&one, account, 3);
    assert_eq!(numbers(&mut here, 2).await, [2, 3]);
    server.start_again().await;
    assert_eq!(next(&mut there).await, None, "it missed the other node's facts");
    let mut later = two.subscribe(account, Some(&cursor)).await;
    assert!(later.gap, "and so did who was away meanwhile");
    assert_eq!(
        next(&mut there).await,
        None,
        "the mark says that the other node writes again"
    );
    say(&one, account, 4);
    for watcher in [&mut here, &mut there, &mut later] {
        let number = loop {
            if let Some((number, _)) = next(watcher).await {
                break number;
            }
        };
        assert_eq!(number, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_a_gap_and_the_stream_goes_on() {
    let server = TestRedis::start().await;
    let (one, two) = (
        LocalBus::shared(1, server.redis()),
        LocalBus::shared(2, server.redis()),
    );
    let account = AccountId::fresh();
    let mut watcher = one.subscribe(account, None).await;
    say(&two, account, 1);
    let (_, cursor) = next(&mut watcher).await.expect("no gap");
    server.flush().await;
    assert_eq!(next(&mut watcher).await, None);
    say(&two, account, 2);
    assert_eq!(numbers(&mut watcher, 1).await, [2]);
    assert!(two.subscribe(account, Some(&cursor)).await.gap);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_among_a_storm_of_facts_sees_each_once() {
    let server = TestRedis::start().await;
    let (one, two) = (
        LocalBus::shared(1, server.redis()),
        LocalBus::shared(2, server.redis()),
    );
    let account = AccountId::fresh();
    let mut first = one.subscribe(account, None).await;
    let beginning = first.cursor.clone();
    for number in 0..2_000 {
        say(if number % 2 == 0 { &one } else { &two }, account, number);
    }
    let mut late = one.subscribe(account, Some(&beginning)).await;
    let mut seen = replayed(&late);
    while seen.len() < 2_000 {
        seen.extend(numbers(&mut late, 1).await);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..2_000).collect::<Vec<_>>());
    let mut all = numbers(&mut first, 2_000).await;
    all.sort_unstable();
    assert_eq!(all, seen);
}
