//! What is asked of the database: every statement prepared once, with the consistency and time-out of its kind.
//!
//! Reads and plain writes go at LOCAL_QUORUM and are repeated when a connection breaks or is replaced, since every one of ours may
//! be repeated. A conditional write is sent once, whatever the answer: see [`super::lwt`].

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use scylla::{
    client::session::Session,
    deserialize::row::DeserializeRow,
    policies::retry::{FallthroughRetryPolicy, RetryPolicy},
    response::{PagingState, query_result::QueryResult},
    serialize::row::SerializeRow,
    statement::{Consistency, prepared::PreparedStatement},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    address::Address,
    buckets::Noted,
    connection::{Connection, REQUEST_TIMEOUT},
    errors::{NoRoom, NotPrepared},
};
use crate::store::StoreResult;

/// Requests of this process that the database has before it at once; what comes on top waits here, in the order of its coming. A crowd
/// of timers that come due together would make every answer late, those to the heartbeats among them, which may pass the others.
const REQUESTS_AT_ONCE: usize = 128;
/// Rows the database sends at a time.
const ROWS_PER_PAGE: i32 = 1_000;

/// How a statement may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Read,
    /// Sees every conditional write that was decided, and ends one that is under way.
    SerialRead,
    /// A write that may be repeated: the same again changes nothing.
    Write,
    /// A lightweight transaction.
    Conditional,
}

/// One statement of ours. A constant: its text and kind are what it is known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) text: &'static str,
    pub(super) kind: Kind,
    /// Whether it passes what waits for room: what a node's life hangs on.
    is_urgent: bool,
}

impl Statement {
    /// The same, but it waits for nothing else.
    pub(super) const fn urgent(self) -> Self {
        Self {
            is_urgent: true,
            ..self
        }
    }

    pub(super) const fn read(text: &'static str) -> Self {
        Self {
            text,
            kind: Kind::Read,
            is_urgent: false,
        }
    }

    pub(super) const fn serial_read(text: &'static str) -> Self {
        Self {
            text,
            kind: Kind::SerialRead,
            is_urgent: false,
        }
    }

    pub(super) const fn write(text: &'static str) -> Self {
        Self {
            text,
            kind: Kind::Write,
            is_urgent: false,
        }
    }

    pub(super) const fn conditional(text: &'static str) -> Self {
        Self {
            text,
            kind: Kind::Conditional,
            is_urgent: false,
        }
    }
}

/// What answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    ScyllaDb,
    Cassandra,
}

/// A connected database.
pub(super) struct Db {
    pub(super) connection: Arc<Connection>,
    room: Semaphore,
    prepared: RwLock<BTreeMap<(&'static str, Kind), PreparedStatement>>,
    /// Lightweight transactions sent so far.
    pub(super) conditionals: AtomicU64,
    pub(super) noted: Noted,
    /// The latest moment that a run was moved at, in milliseconds.
    pub(super) latest: AtomicI64,
}

impl Db {
    /// Connects and says what it found. The keyspace is not in use yet.
    ///
    /// # Errors
    /// `Unavailable` when no node of the address answers.
    pub(super) async fn connect(address: &Address) -> StoreResult<(Self, Product)> {
        let connection = Connection::open(address).await?;
        let (product, version) = product_of(&connection.session()).await?;
        tracing::info!(%address, ?product, version, "connected to the store");
        let db = Self {
            connection: Arc::new(connection),
            room: Semaphore::new(REQUESTS_AT_ONCE),
            prepared: RwLock::default(),
            conditionals: AtomicU64::new(0),
            noted: Noted::default(),
            latest: AtomicI64::new(0),
        };
        Ok((db, product))
    }

    /// The session in use at this moment, for what is asked once at the start.
    pub(super) fn session(&self) -> Arc<Session> {
        self.connection.session()
    }

    /// Waits until one more request may be sent.
    ///
    /// # Errors
    /// When that takes as long as a request may.
    pub(super) async fn room(&self) -> StoreResult<SemaphorePermit<'_>> {
        let permit = tokio::time::timeout(REQUEST_TIMEOUT, self.room.acquire()).await;
        let permit = permit.map_err(|_elapsed| NoRoom(REQUEST_TIMEOUT))?;
        Ok(permit.expect("nobody closes the semaphore"))
    }

    async fn room_for(&self, statement: Statement) -> StoreResult<Option<SemaphorePermit<'_>>> {
        if statement.is_urgent {
            return Ok(None);
        }
        self.room().await.map(Some)
    }

    /// Carries out a plain write.
    pub(super) async fn write(&self, statement: Statement, values: impl SerializeRow) -> StoreResult<()> {
        debug_assert_eq!(statement.kind, Kind::Write, "{}", statement.text);
        let prepared = self.prepared(statement).await?;
        let _room = self.room_for(statement).await?;
        let (prepared, values) = (&prepared, &values);
        self.connection
            .ask(|session| async move { session.execute_unpaged(prepared, values).await })
            .await?;
        Ok(())
    }

    /// Reads every row, however many pages they come in. For what has a `LIMIT` or is known to be small.
    pub(super) async fn rows<R>(&self, statement: Statement, values: impl SerializeRow) -> StoreResult<Vec<R>>
    where
        R: for<'row> DeserializeRow<'row, 'row>,
    {
        let prepared = self.prepared(statement).await?;
        let _room = self.room_for(statement).await?;
        let (prepared, values) = (&prepared, &values);
        let (mut found, mut state) = (Vec::new(), PagingState::start());
        loop {
            let from = &state;
            let page = self.connection.ask(|session| async move {
                session.execute_single_page(prepared, values, from.clone()).await
            });
            let (result, next) = page.await?;
            for row in result.into_rows_result()?.rows::<R>()? {
                found.push(row?);
            }
            // A short or empty page is not the end: a page of tombstones comes back empty.
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(found),
                ControlFlow::Continue(next) => state = next,
            }
        }
    }

    /// Reads the first row, if any.
    pub(super) async fn first<R>(
        &self,
        statement: Statement,
        values: impl SerializeRow,
    ) -> StoreResult<Option<R>>
    where
        R: for<'row> DeserializeRow<'row, 'row>,
    {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Sends one conditional statement, once.
    pub(super) async fn send_conditional(
        &self,
        statement: Statement,
        values: impl SerializeRow,
    ) -> StoreResult<QueryResult> {
        debug_assert_eq!(statement.kind, Kind::Conditional, "{}", statement.text);
        let prepared = self.prepared(statement).await?;
        let _room = self.room_for(statement).await?;
        self.conditionals.fetch_add(1, Ordering::Relaxed);
        let sent = self
            .connection
            .send(|session| async move { session.execute_unpaged(&prepared, values).await });
        Ok(sent.await??)
    }

    /// The prepared form of a statement; prepares it when it is asked for first.
    pub(super) async fn prepared(&self, statement: Statement) -> StoreResult<PreparedStatement> {
        if let Some(known) = self
            .prepared
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(statement.text, statement.kind))
        {
            return Ok(known.clone());
        }
        // The driver itself would wait for as long as a database that hangs keeps its connections.
        let preparing = self
            .connection
            .ask(|session| async move { session.prepare(statement.text).await });
        let prepared = tokio::time::timeout(REQUEST_TIMEOUT, preparing).await;
        let mut prepared = prepared.map_err(|_elapsed| NotPrepared)??;
        prepared.set_page_size(ROWS_PER_PAGE);
        prepared.set_is_idempotent(statement.kind != Kind::Conditional);
        match statement.kind {
            Kind::Read | Kind::Write => (),
            Kind::SerialRead => prepared.set_consistency(Consistency::LocalSerial),
            Kind::Conditional => prepared.set_retry_policy(Some(sent_once())),
        }
        self.prepared
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((statement.text, statement.kind), prepared.clone());
        Ok(prepared)
    }
}

/// The driver's own policy sends a conditional write to another node when the first one lacks replicas, though it may have decided.
pub(super) fn sent_once() -> Arc<dyn RetryPolicy> {
    Arc::new(FallthroughRetryPolicy)
}

/// Only ScyllaDB has a table of its own versions.
async fn product_of(session: &Session) -> StoreResult<(Product, String)> {
    let scylla = session
        .query_unpaged("SELECT version FROM system.versions WHERE key = 'local'", ())
        .await;
    let (product, answer) = match scylla {
        Ok(answer) => (Product::ScyllaDb, answer),
        Err(_no_such_table) => {
            let cassandra = "SELECT release_version FROM system.local WHERE key = 'local'";
            (Product::Cassandra, session.query_unpaged(cassandra, ()).await?)
        }
    };
    let version = answer.into_rows_result()?.maybe_first_row::<(String,)>()?;
    Ok((product, version.map(|(version,)| version).unwrap_or_default()))
}
