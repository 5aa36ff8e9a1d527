//! Allowances that all nodes share: a token bucket in Redis for each name.
//!
//! The generic cell rate algorithm, as `actors/pace.rs` has it for one process: one moment says when the next turn would be due if all
//! had come evenly. Redis' own clock counts, and the script makes looking and taking one step. A name that is not used is gone by itself.

use std::time::Duration;

use redis::Script;

use super::{Redis, RedisFault, in_time, key};

/// KEYS[1]: the name. ARGV: microseconds between two turns, and turns that may come at once. Gives the microseconds to wait; 0: taken.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = due - now - (burst - 1) * interval
if wait > 0 then return math.ceil(wait) end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
return 0
";

/// How often, and how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Between two turns.
    pub interval: Duration,
    /// Turns that may come at once when none came for a while; at least 1.
    pub burst: u32,
}

/// The allowances. Cheap to clone.
#[derive(Clone)]
pub struct Allowances {
    redis: Redis,
}

impl Allowances {
    /// Allowances that everybody with this Redis shares.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Takes a turn of `name`. Returns how long to wait when there is none.
    ///
    /// # Errors
    /// [`RedisFault`] when it is not known: the caller's own allowance decides then.
    pub async fn take(&self, name: &str, rate: Rate) -> Result<Option<Duration>, RedisFault> {
        let script = Script::new(TAKE);
        let mut call = script.key(key(&["allowance", name]));
        let interval = u64::try_from(rate.interval.as_micros()).unwrap_or(u64::MAX);
        call.arg(interval).arg(rate.burst.max(1));
        let mut connection = self.redis.connection.clone();
        let wait: u64 = in_time(call.invoke_async(&mut connection)).await?;
        Ok((wait > 0).then(|| Duration::from_micros(wait)))
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
        server.until_it_answers(&allowances.redis).await;
        assert_eq!(allowances.take("a", rate).await.expect("redis answers"), None);
    }
}
