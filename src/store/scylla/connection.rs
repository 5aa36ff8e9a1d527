//! The way to the database: one session of the driver, made anew as soon as a database that was away answers.
//!
//! The driver looks for a lost server after pauses that grow to ten seconds, and what a frozen server had waiting may never be answered:
//! whoever asked it waits out the whole time-out. Neither is waited for here. While nothing is answered, another session is tried
//! twice a second; it takes the place of the one before, requests of that one end, and whoever waits for the store hears that it is back.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    errors::{ExecutionError, NewSessionError, RequestAttemptError},
    policies::timestamp_generator::MonotonicTimestampGenerator,
    statement::{Consistency, SerialConsistency, unprepared},
};
use tokio::{sync::watch, time::Instant};

use super::{address::Address, errors::Replaced};
use crate::store::{StoreError, StoreResult, away};

/// How long a request may take, every repetition by the driver included.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the nodes may take to agree on a changed schema.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection is asked this often whether it lives, and given up when it has not said so for [`KEEPALIVE_MAX`]: a server that lost its power
/// says nothing.
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_MAX: Duration = Duration::from_secs(10);

/// Between two looks whether the database answers, and two tries of another session.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So long without any answer, the database is asked.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long it may take with that before it counts as away.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a session may take to be made: longer than a server that does not answer is waited for.
const RENEW_MAX: Duration = Duration::from_secs(4);
/// Requests of a session that was replaced may still be answered for so long: a server that was frozen goes on with some of them.
const GRACE: Duration = Duration::from_secs(1);

/// The way to the database.
pub(super) struct Connection {
    address: Address,
    /// Of all sessions: two writes of one process to one cell are in the order in which it made them.
    timestamps: Arc<MonotonicTimestampGenerator>,
    current: watch::Sender<Arc<Session>>,
    /// When the database last answered.
    answered: Mutex<Instant>,
}

impl Connection {
    /// Connects. The keyspace is not in use yet.
    ///
    /// # Errors
    /// `Unavailable` when no node of the address answers.
    pub(super) async fn open(address: &Address) -> StoreResult<Self> {
        let timestamps = Arc::new(MonotonicTimestampGenerator::new());
        let session = builder(address, &timestamps).build().await?;
        Ok(Self {
            address: address.clone(),
            timestamps,
            current: watch::Sender::new(Arc::new(session)),
            answered: Mutex::new(Instant::now()),
        })
    }

    /// The session in use at this moment.
    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.current.borrow())
    }

    /// Sends a request that may be repeated: once more where the session was replaced before it was answered.
    pub(super) async fn ask<T, E, F>(&self, request: impl Fn(Arc<Session>) -> F) -> StoreResult<T>
    where
        F: Future<Output = Result<T, E>>,
        StoreError: From<E>,
    {
        match self.send(&request).await {
            Ok(answer) => Ok(answer?),
            Err(Replaced) => Ok(self.send(&request).await??),
        }
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// When the session was replaced before it was answered: it may have been carried out.
    pub(super) async fn send<T, E, F>(
        &self,
        request: impl FnOnce(Arc<Session>) -> F,
    ) -> Result<Result<T, E>, Replaced>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut current = self.current.subscribe();
        let session = Arc::clone(&current.borrow_and_update());
        let replaced = async {
            // The sender is this value: it is there.
            drop(current.changed().await);
            tokio::time::sleep(GRACE).await;
        };
        // On the heap: the driver's futures are large, and everything that asks the store would carry one.
        let asked = Box::pin(request(session));
        tokio::select! {
            answer = asked => {
                if answer.is_ok() {
                    self.note_answer();
                }
                Ok(answer)
            }
            () = replaced => Err(Replaced),
        }
    }

    /// Begins to look after the connection, until the store is dropped. The keyspace is there.
    pub(super) fn look_after(self: &Arc<Self>) {
        let connection = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut is_away = false;
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(connection) = connection.upgrade() else {
                    return;
                };
                if !is_away && connection.answers().await {
                    continue;
                }
                if !is_away {
                    tracing::warn!("the database does not answer: another session is tried until it does");
                }
                is_away = !connection.is_back().await;
                if !is_away {
                    away::tell_back();
                }
            }
        });
    }

    /// Whether the database answers the session in use.
    async fn answers(&self) -> bool {
        if self.silent_for() < SILENCE_MAX {
            return true;
        }
        let mut question = unprepared::Statement::new("SELECT key FROM system.local WHERE key = 'local'");
        question.set_consistency(Consistency::One);
        question.set_is_idempotent(true);
        question.set_request_timeout(Some(ANSWER_MAX));
        let answers = match self.session().query_unpaged(question, ()).await {
            Ok(_) | Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(..))) => true,
            Err(error) => {
                tracing::debug!(%error, "the database was asked whether it answers");
                false
            }
        };
        if answers {
            self.note_answer();
        }
        answers
    }

    /// Tries another session. A session that found its way back by itself while that one was made is as good.
    pub(super) async fn is_back(&self) -> bool {
        let began = Instant::now();
        match tokio::time::timeout(RENEW_MAX, self.renewed()).await {
            Ok(Ok(session)) => {
                self.current.send_replace(Arc::new(session));
                self.note_answer();
                metrics::counter!("patchcord_store_reconnects_total").increment(1);
                tracing::info!("the database is back: requests go through another session");
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the database is still away");
                self.silent_for() < began.elapsed()
            }
            Err(_) => {
                tracing::debug!("the database is still away: it does not answer");
                self.silent_for() < began.elapsed()
            }
        }
    }

    async fn renewed(&self) -> Result<Session, NewSessionError> {
        builder(&self.address, &self.timestamps)
            .use_keyspace(&self.address.keyspace, false)
            .build()
            .await
    }

    fn note_answer(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silent_for(&self) -> Duration {
        self.answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}

fn builder(address: &Address, timestamps: &Arc<MonotonicTimestampGenerator>) -> SessionBuilder {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(REQUEST_TIMEOUT))
        .build();
    let builder = SessionBuilder::new()
        .known_nodes(&address.nodes)
        .connection_timeout(CONNECT_TIMEOUT)
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE_MAX)
        .schema_agreement_timeout(AGREEMENT_TIMEOUT)
        // Keyspaces alone, for the way to the replicas: tables and types are known here.
        .fetch_full_schema_metadata(false)
        .timestamp_generator(Arc::clone(timestamps) as _)
        .default_execution_profile_handle(profile.into_handle());
    match &address.credentials {
        Some(credentials) => builder.user(&credentials.user, credentials.password.expose()),
        None => builder,
    }
}
