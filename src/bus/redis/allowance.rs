//! Allowances that all nodes share: a token bucket in Redis for each name.
//!
//! The generic cell rate algorithm, as `actors/pace.rs` has it for one process: one moment says when the next turn would be due if all
//! had come evenly. Redis' own clock counts, and the script makes looking and taking one step. A name that is not used is gone by itself.
//! A Redis that failed is left alone for a moment, so that not every turn waits for it in vain.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::Script;
use tokio::time::Instant;

use super::{Redis, RedisFault, in_time, key};

/// KEYS: names. ARGV, for each: microseconds between two turns, and turns that may come at once. Takes a turn of all, or of none: gives
/// which has none left, counted from 1, and the microseconds until it has.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local longest, place, dues = 0, 0, {}
for i, name in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local due = math.max(tonumber(redis.call('GET', name) or '0'), now)
  local wait = due - now - (burst - 1) * interval
  if wait > longest then longest, place = wait, i end
  dues[i] = due + interval
end
if longest > 0 then return {place, math.ceil(longest)} end
for i, name in ipairs(KEYS) do
  redis.call('SET', name, string.format('%.0f', dues[i]), 'PX', math.ceil((dues[i] - now) / 1000) + 1)
end
return {0, 0}
";

/// How long Redis is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Names whose part is remembered while Redis does not answer; those whose turns are all over are forgotten first.
const NAMES_MAX: usize = 100_000;

/// How often, and how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Between two turns.
    pub interval: Duration,
    /// Turns that may come at once when none came for a while; at least 1.
    pub burst: u32,
}

/// A name that has no turn left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// Which of those that were asked for.
    pub at: usize,
    pub wait: Duration,
}

/// The allowances. Cheap to clone.
#[derive(Clone)]
pub struct Allowances {
    redis: Redis,
    apart: Arc<Mutex<Apart>>,
}

/// What a node does by itself while Redis does not answer.
#[derive(Default)]
struct Apart {
    left_alone_until: Option<Instant>,
    due: BTreeMap<String, Instant>,
}

impl Allowances {
    /// Allowances that everybody with this Redis shares.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            apart: Arc::default(),
        }
    }

    /// Takes a turn of `name`. Returns how long to wait when there is none.
    ///
    /// # Errors
    /// [`RedisFault`] when it is not known: the caller's own allowance decides then.
    pub async fn take(&self, name: &str, rate: Rate) -> Result<Option<Duration>, RedisFault> {
        let used_up = self.take_all(&[(name.to_owned(), rate)]).await?;
        Ok(used_up.map(|used_up| used_up.wait))
    }

    /// Takes a turn of every name, or of none when one has none left.
    ///
    /// # Errors
    /// [`RedisFault`] when it is not known.
    pub async fn take_all(&self, wanted: &[(String, Rate)]) -> Result<Option<UsedUp>, RedisFault> {
        let until = self.apart().left_alone_until;
        if until.is_some_and(|until| Instant::now() < until) {
            return Err(RedisFault::LeftAlone);
        }
        let taken = self.ask(wanted).await;
        self.apart().left_alone_until = taken.is_err().then(|| Instant::now() + PAUSE);
        taken
    }

    /// As [`Allowances::take_all`]. While Redis does not answer, each of `nodes` nodes keeps to an even part of the rate, so that together
    /// they keep it.
    pub async fn take_all_or_part(&self, wanted: &[(String, Rate)], nodes: u32) -> Option<UsedUp> {
        match self.take_all(wanted).await {
            Ok(taken) => taken,
            Err(fault) => {
                if !matches!(fault, RedisFault::LeftAlone) {
                    tracing::warn!(%fault, nodes, "rates are kept by each node alone, an even part by each");
                }
                self.apart().take_all(wanted, nodes.max(1), Instant::now())
            }
        }
    }

    async fn ask(&self, wanted: &[(String, Rate)]) -> Result<Option<UsedUp>, RedisFault> {
        let script = Script::new(TAKE);
        let mut call = script.prepare_invoke();
        for (name, rate) in wanted {
            let interval = u64::try_from(rate.interval.as_micros()).unwrap_or(u64::MAX);
            call.key(key(&["allowance", name]));
            call.arg(interval).arg(rate.burst.max(1));
        }
        let mut connection = self.redis.connection.clone();
        let (place, wait): (usize, u64) = in_time(call.invoke_async(&mut connection)).await?;
        Ok(place.checked_sub(1).map(|at| UsedUp {
            at,
            wait: Duration::from_micros(wait),
        }))
    }

    fn apart(&self) -> std::sync::MutexGuard<'_, Apart> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Apart {
    fn take_all(&mut self, wanted: &[(String, Rate)], nodes: u32, now: Instant) -> Option<UsedUp> {
        let mut dues = Vec::with_capacity(wanted.len());
        let mut longest: Option<UsedUp> = None;
        for (at, (name, rate)) in wanted.iter().enumerate() {
            let interval = rate.interval * nodes;
            let early = interval * (rate.burst / nodes).max(1).saturating_sub(1);
            let due = self.due.get(name).map_or(now, |due| (*due).max(now));
            let wait = (due - now).saturating_sub(early);
            if wait > longest.map_or(Duration::ZERO, |longest| longest.wait) {
                longest = Some(UsedUp { at, wait });
            }
            dues.push(due + interval);
        }
        if longest.is_some() {
            return longest;
        }
        if self.due.len() >= NAMES_MAX {
            self.due.retain(|_, due| *due > now);
        }
        for ((name, _), due) in wanted.iter().zip(dues) {
            self.due.insert(name.clone(), due);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::redis::test_server::TestRedis;

    #[tokio::test(flavor = "multi_thread")]
    async fn two_nodes_share_one_allowance_and_are_told_how_long_to_wait() {
        let server = TestRedis::start().await;
        let rate = Rate {
            interval: Duration::from_secs(60),
            burst: 5,
        };
        let (one, two) = (Allowances::new(server.redis()), Allowances::new(server.redis()));
        let mut taken = 0;
        for _ in 0..10 {
            for node in [&one, &two] {
                match node.take("ann@example.com", rate).await.expect("redis answers") {
                    None => taken += 1,
                    Some(wait) => assert!(wait <= rate.interval, "{wait:?}"),
                }
            }
        }
        assert_eq!(taken, 5);
        assert_eq!(
            two.take("bob@example.com", rate).await.expect("redis answers"),
            None
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_is_gone_is_a_fault_within_its_time() {
        let mut server = TestRedis::start().await;
        let allowances = Allowances::new(server.redis());
        let rate = Rate {
            interval: Duration::from_secs(1),
            burst: 1,
        };
        assert_eq!(allowances.take("a", rate).await.expect("redis answers"), None);
        server.kill().await;
        let began = tokio::time::Instant::now();
        assert!(allowances.take("a", rate).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(3));
        server.start_again().await;
        // Everything is forgotten, and it works again by itself.
        assert_eq!(until_known(&allowances, "a", rate).await, None);
    }

    /// Asks until Redis is left alone no longer.
    async fn until_known(allowances: &Allowances, name: &str, rate: Rate) -> Option<Duration> {
        let began = Instant::now();
        loop {
            match allowances.take(name, rate).await {
                Ok(taken) => return taken,
                Err(fault) => assert!(began.elapsed() < Duration::from_secs(60), "{fault}"),
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_turn_of_two_names_is_taken_of_both_or_of_none() {
        let server = TestRedis::start().await;
        let allowances = Allowances::new(server.redis());
        let rate = |burst| Rate {
            interval: Duration::from_secs(60),
            burst,
        };
        let both = [("number".to_owned(), rate(3)), ("account".to_owned(), rate(2))];
        for _ in 0..2 {
            assert_eq!(allowances.take_all(&both).await.expect("redis answers"), None);
        }
        let used_up = allowances.take_all(&both).await.expect("redis answers");
        assert_eq!(used_up.expect("the account has none left").at, 1);
        // The number still has the turn that was not used.
        assert_eq!(
            allowances.take("number", rate(3)).await.expect("redis answers"),
            None
        );
        assert!(
            allowances
                .take("number", rate(3))
                .await
                .expect("redis answers")
                .is_some()
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bulk_send_of_two_nodes_keeps_the_rate_of_one() {
        let server = TestRedis::start().await;
        let rate = Rate {
            interval: Duration::from_millis(1),
            burst: 50,
        };
        let began = std::time::Instant::now();
        let nodes = [1, 2].map(|_| {
            let allowances = Allowances::new(server.redis());
            tokio::spawn(async move {
                for _ in 0..500 {
                    while allowances
                        .take("+14155550100", rate)
                        .await
                        .expect("redis answers")
                        .is_some()
                    {}
                }
            })
        });
        for node in nodes {
            node.await.expect("it sends all it has");
        }
        // A thousand turns, fifty of them at once; a little less for two clocks that do not run quite alike.
        assert!(
            began.elapsed() >= Duration::from_millis(940),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_redis_each_node_keeps_to_its_part_of_the_rate() {
        let mut server = TestRedis::start().await;
        let nodes = [1, 2, 3].map(|_| Allowances::new(server.redis()));
        server.kill().await;
        let wanted = [(
            "+14155550100".to_owned(),
            Rate {
                interval: Duration::from_secs(60),
                burst: 6,
            },
        )];
        let mut taken = 0;
        for node in &nodes {
            for _ in 0..10 {
                match node.take_all_or_part(&wanted, 3).await {
                    None => taken += 1,
                    Some(used_up) => assert!(used_up.wait <= Duration::from_secs(180), "{used_up:?}"),
                }
            }
        }
        assert_eq!(taken, 6, "as many as with Redis");
        server.start_again().await;
        assert_eq!(until_known(&nodes[0], "+14155550100", wanted[0].1).await, None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flushed_redis_begins_anew_and_is_no_fault() {
        let server = TestRedis::start().await;
        let allowances = Allowances::new(server.redis());
        let rate = Rate {
            interval: Duration::from_secs(60),
            burst: 1,
        };
        assert_eq!(allowances.take("a", rate).await.expect("redis answers"), None);
        assert!(allowances.take("a", rate).await.expect("redis answers").is_some());
        server.flush().await;
        // The script is gone with everything else, and sent again.
        let () = server
            .redis()
            .ask(redis::cmd("SCRIPT").arg("FLUSH"))
            .await
            .expect("redis answers");
        assert_eq!(allowances.take("a", rate).await.expect("redis answers"), None);
    }
}
