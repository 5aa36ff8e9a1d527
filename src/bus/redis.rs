//! Redis: what nodes share and may lose. The supervisors' stream, word of sessions that ended, allowances, tickets.
//!
//! In: the address. Out: a connection that mends itself, with a time-out on everything. Nothing here is needed for a promise: whoever
//! calls gets an error within a second and does without. One server, or one with replicas; a Redis Cluster is not supported, because
//! one read takes the streams of many accounts.

pub mod allowance;
pub mod revocations;
pub mod stream;
#[cfg(test)]
pub mod test_server;
pub mod tickets;

use std::time::Duration;

use redis::{
    Client, FromRedisValue, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, PubSub},
};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_millis(1_000);
/// Between two tries to connect, and before the first.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);
/// Begins every key of ours.
const PREFIX: &str = "patchcord:";

/// Why Redis did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RedisFault {
    #[error("redis.url: expected `redis://[user:password@]host:port[/database]` or `unix:///path`")]
    Address(#[source] RedisError),
    #[error("Redis did not answer")]
    NoAnswer(#[source] RedisError),
    #[error("Redis did not answer within {} ms", .0.as_millis())]
    TooSlow(Duration),
    #[error("Redis did not answer a moment ago and is left alone")]
    LeftAlone,
}

/// The connection. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: ConnectionManager,
}

/// A key of ours.
fn key(parts: &[&str]) -> String {
    let mut key = PREFIX.to_owned();
    key.push_str(&parts.join(":"));
    key
}

impl Redis {
    /// Prepares a connection; the first use makes it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`RedisFault::Address`] when `url` is none.
    pub fn new(url: &str) -> Result<Self, RedisFault> {
        let client = Client::open(url).map_err(RedisFault::Address)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX))
            .set_min_delay(RETRY_MIN)
            .set_max_delay(RETRY_MAX)
            .set_number_of_retries(1);
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(RedisFault::Address)?;
        Ok(Self { client, connection })
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`RedisFault`] when it does not within a second.
    pub async fn ping(&self) -> Result<(), RedisFault> {
        let _: String = self.ask(&redis::cmd("PING")).await?;
        Ok(())
    }

    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, RedisFault> {
        let mut connection = self.connection.clone();
        in_time(command.query_async(&mut connection)).await
    }

    async fn ask_all<T: FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T, RedisFault> {
        let mut connection = self.connection.clone();
        in_time(pipeline.query_async(&mut connection)).await
    }

    /// A connection of its own, for reads that block.
    async fn own_connection(&self, answer_max: Duration) -> Result<MultiplexedConnection, RedisFault> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(answer_max));
        in_time(self.client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// A connection of its own that listens to a channel.
    async fn listen(&self, channel: &str) -> Result<PubSub, RedisFault> {
        let mut listening = in_time(self.client.get_async_pubsub()).await?;
        in_time(listening.subscribe(channel)).await?;
        Ok(listening)
    }
}

/// The library's time-outs hold for one try each; this one holds for all of it.
async fn in_time<T>(work: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisFault> {
    match tokio::time::timeout(ANSWER_MAX, work).await {
        Ok(answer) => answer.map_err(RedisFault::NoAnswer),
        Err(_) => Err(RedisFault::TooSlow(ANSWER_MAX)),
    }
}
