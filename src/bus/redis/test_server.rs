//! A real redis-server for tests, and connections to it.

#[path = "../../../tests/it/support/redis.rs"]
mod server;

use std::time::Duration;

pub use server::Server as TestRedis;

use super::Redis;

/// How long a connection may take to work again on a busy machine.
const AGAIN_MAX: Duration = Duration::from_secs(60);

impl TestRedis {
    /// A connection of its own, as another node has.
    pub fn redis(&self) -> Redis {
        Redis::new(&self.url()).expect("an address")
    }

    /// Waits until a connection works.
    pub async fn until_it_answers(&self, redis: &Redis) {
        let began = tokio::time::Instant::now();
        while redis.ping().await.is_err() {
            assert!(began.elapsed() < AGAIN_MAX, "redis-server does not answer");
            tokio::task::yield_now().await;
        }
    }
}
