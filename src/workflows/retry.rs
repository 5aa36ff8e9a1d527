//! When a failed effect is tried again.
//!
//! Exponential back-off with jitter. The jitter is derived from the effect's key and the attempt, so a repeated step
//! computes the same time, and a thousand runs that failed together do not come back together.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::definition::span;
use crate::domain::time::{Timestamp, millis_of};

/// Most attempts a node may ask for.
pub const ATTEMPTS_MAX: u32 = 20;

/// How often and how patiently a node tries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included: 1 to 20.
    pub max_attempts: u32,
    /// Wait after the first failure.
    #[serde(with = "span")]
    pub initial_interval: Duration,
    /// Each wait is this many times the one before: 1 to 10.
    pub backoff: f64,
    /// No wait is longer.
    #[serde(with = "span")]
    pub max_interval: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts within a few seconds: enough for a hiccup, short enough for someone who waits.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial_interval: Duration::from_secs(1),
            backoff: 2.0,
            max_interval: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// Whether an attempt may follow attempt number `attempt`.
    #[must_use]
    pub const fn allows_after(&self, attempt: u32) -> bool {
        attempt < self.max_attempts
    }

    /// Returns when to try again after attempt number `attempt` (from 1) failed at `now`.
    ///
    /// The wait is between half and all of `initial × backoff^(attempt − 1)`, capped at `max_interval`; never before
    /// what the provider asked for in `retry_after`.
    #[must_use]
    pub fn next_at(
        &self,
        now: Timestamp,
        key: &str,
        attempt: u32,
        retry_after: Option<Duration>,
    ) -> Timestamp {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let full_s = self.initial_interval.as_secs_f64() * self.backoff.max(1.0).powi(exponent);
        let capped_s = full_s.min(self.max_interval.as_secs_f64());
        let wait = Duration::try_from_secs_f64(capped_s * (0.5 + 0.5 * jitter(key, attempt)))
            .unwrap_or(self.max_interval);
        // Whole milliseconds, and at least one: a timer due at once would spin.
        let wait = Duration::from_millis(millis_of(wait).max(1));
        now.plus(wait.max(retry_after.unwrap_or(Duration::ZERO)))
    }
}

/// A number from 0.0 to 1.0 that `key` and `attempt` always give.
fn jitter(key: &str, attempt: u32) -> f64 {
    let mut hash = Sha256::new();
    hash.update(key.as_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    let drawn = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(drawn) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_stay_within_half_of_it() {
        let policy = RetryPolicy {
            max_attempts: 9,
            max_interval: Duration::from_secs(10),
            ..RetryPolicy::default()
        };
        let now = Timestamp::from_unix_millis(1_000_000);
        for (attempt, full_ms) in [
            (1, 1_000),
            (2, 2_000),
            (3, 4_000),
            (4, 8_000),
            (5, 10_000),
            (400, 10_000),
        ] {
            let wait = millis_of(policy.next_at(now, "key", attempt, None).since(now));
            assert!(
                (full_ms / 2..=full_ms).contains(&wait),
                "attempt {attempt}: {wait}"
            );
        }
    }

    #[test]
    fn the_same_key_and_attempt_wait_the_same_and_others_differ() {
        let (policy, now) = (RetryPolicy::default(), Timestamp::from_unix_millis(0));
        assert_eq!(
            policy.next_at(now, "a", 1, None),
            policy.next_at(now, "a", 1, None)
        );
        assert_ne!(
            policy.next_at(now, "a", 1, None),
            policy.next_at(now, "b", 1, None)
        );
    }

    #[test]
    fn a_provider_that_asks_for_more_time_gets_it() {
        let (policy, now) = (RetryPolicy::default(), Timestamp::from_unix_millis(0));
        let asked = Duration::from_secs(60);
        assert_eq!(policy.next_at(now, "a", 1, Some(asked)), now.plus(asked));
    }
}
