//! Many sagas, one after the other on each of two threads.

use std::sync::atomic::{AtomicU64, Ordering};

use super::saga::{self, Tale};

/// Sagas that are played unless `PATCHCORD_SIM_SEEDS` says how many.
const SEEDS: u64 = 300;
const THREADS: usize = 2;

#[test]
fn three_hundred_sagas_break_no_promise() {
    let (first, count) = match number("PATCHCORD_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("PATCHCORD_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let tales: Vec<(u64, Result<Tale, String>)> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| play_all(&next, first + count)))
            .collect();
        players
            .into_iter()
            .flat_map(|player| player.join().expect("a saga panicked; its seed is printed above"))
            .collect()
    });
    let mut sum = Tale::default();
    let mut broken = Vec::new();
    for (seed, tale) in tales {
        match tale {
            Ok(tale) => {
                sum.runs += tale.runs;
                sum.effects += tale.effects;
                sum.deaths += tale.deaths;
                sum.failures += tale.failures;
                sum.forgotten += tale.forgotten;
            }
            Err(why) => broken.push(format!("PATCHCORD_SIM_SEED={seed}: {why}")),
        }
    }
    println!(
        "{count} sagas from seed {first}: {} runs, {} effects, {} deaths, {} store failures, {} lost replies, {} broken promises",
        sum.runs,
        sum.effects,
        sum.deaths,
        sum.failures,
        sum.forgotten,
        broken.len()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    if count == SEEDS {
        assert!(
            sum.deaths > SEEDS && sum.forgotten > SEEDS,
            "the sagas are too tame"
        );
    }
}

fn play_all(next: &AtomicU64, end: u64) -> Vec<(u64, Result<Tale, String>)> {
    let mut told = Vec::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return told;
        }
        let tale = std::panic::catch_unwind(|| saga::play(seed));
        told.push((seed, tale.unwrap_or_else(|_| Err("it panicked".to_owned()))));
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok())
}
