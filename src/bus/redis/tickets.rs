//! Tickets that work once, on whatever node they are shown.
//!
//! In: the hash of a ticket and what it stands for. Out: the same, once. Redis' expiry ends them.

use std::time::Duration;

use super::{Redis, RedisFault, key};
use crate::domain::time::millis_of;

/// Keeps a ticket for `life`.
///
/// # Errors
/// [`RedisFault`] when it may not be kept.
pub async fn keep(redis: &Redis, ticket: &str, holder: &str, life: Duration) -> Result<(), RedisFault> {
    let mut command = redis::cmd("SET");
    command
        .arg(key(&["ticket", ticket]))
        .arg(holder)
        .arg("PX")
        .arg(millis_of(life));
    redis.ask::<()>(&command).await
}

/// Takes a ticket: whoever asks first gets what it stands for.
///
/// # Errors
/// [`RedisFault`] when that is not known.
pub async fn take(redis: &Redis, ticket: &str) -> Result<Option<String>, RedisFault> {
    let mut command = redis::cmd("GETDEL");
    command.arg(key(&["ticket", ticket]));
    redis.ask(&command).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::redis::test_server::TestRedis;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ticket_of_one_node_works_once_on_another() {
        let server = TestRedis::start().await;
        let (one, two) = (server.redis(), server.redis());
        keep(&one, "hash", "holder", Duration::from_secs(30))
            .await
            .expect("kept");
        assert_eq!(
            take(&two, "hash").await.expect("known"),
            Some("holder".to_owned())
        );
        assert_eq!(take(&one, "hash").await.expect("known"), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ticket_that_redis_has_lost_opens_nothing_and_a_redis_that_is_gone_is_a_fault() {
        let mut server = TestRedis::start().await;
        let redis = server.redis();
        let life = Duration::from_secs(30);
        keep(&redis, "hash", "holder", life).await.expect("kept");
        server.flush().await;
        assert_eq!(take(&redis, "hash").await.expect("known"), None);
        keep(&redis, "hash", "holder", life).await.expect("kept");
        server.kill().await;
        assert!(take(&redis, "hash").await.is_err());
        assert!(keep(&redis, "other", "holder", life).await.is_err());
        server.start_again().await;
        server.until_it_answers(&redis).await;
        assert_eq!(take(&redis, "hash").await.expect("known"), None, "it was lost");
    }
}
