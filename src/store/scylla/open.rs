//! Opens the store: connects, brings the tables up to date, and puts the aggregates together.

use std::sync::Arc;

use super::{
    address::Address,
    database::Scylla,
    import::Importer,
    leases::Leases,
    migrate::{left, migrate},
    observations::Observations,
    runs::Runs,
    session::Db,
};
use crate::store::{Aggregates, LeadStore, Store, StoreResult};

/// What moves most: the rest of the aggregates is put around it.
pub(super) struct Core {
    pub(super) db: Arc<Db>,
    pub(super) runs: Arc<Runs>,
    pub(super) observations: Arc<Observations>,
    pub(super) leases: Arc<Leases>,
}

/// Opens the store at `address`, making its keyspace and tables when they are missing.
///
/// # Errors
/// `Unavailable` when no node answers, or the schema cannot be used.
pub async fn open(address: &Address) -> StoreResult<Store> {
    Ok(whole(&open_core(address).await?))
}

/// As [`open`], for a copy of another store.
///
/// # Errors
/// As [`open`].
pub async fn open_to_copy(address: &Address) -> StoreResult<(Store, Importer)> {
    let core = open_core(address).await?;
    let rest = Arc::new(Scylla::new(Arc::clone(&core.db), core.observations.clone()));
    Ok((whole_with(&core, Arc::clone(&rest)), Importer(rest)))
}

/// How many steps of the schema the database lacks. Changes nothing.
///
/// # Errors
/// `Unavailable` when no node answers, or the schema cannot be used.
pub async fn steps_left(address: &Address) -> StoreResult<usize> {
    let (db, _product) = Db::connect(address).await?;
    left(&db, address).await
}

/// Puts every aggregate together.
pub(super) fn whole(core: &Core) -> Store {
    let rest = Arc::new(Scylla::new(Arc::clone(&core.db), core.observations.clone()));
    whole_with(core, rest)
}

pub(super) fn whole_with(core: &Core, rest: Arc<Scylla>) -> Store {
    let leads: Arc<dyn LeadStore> = rest.clone();
    core.runs.meet(&leads);
    Store::from(Aggregates {
        accounts: rest.clone(),
        workflows: rest.clone(),
        runs: core.runs.clone(),
        leads,
        calls: rest.clone(),
        observations: core.observations.clone(),
        alerts: rest.clone(),
        tasks: rest.clone(),
        messages: rest.clone(),
        schedules: rest.clone(),
        contacts: rest.clone(),
        webhooks: rest.clone(),
        resources: rest.clone(),
        audit: rest.clone(),
        keyring: rest,
        leases: core.leases.clone(),
    })
}

/// Connects and brings the tables up to date.
///
/// # Errors
/// `Unavailable` when no node answers, or the schema cannot be used.
pub(super) async fn open_core(address: &Address) -> StoreResult<Core> {
    let (db, product) = Db::connect(address).await?;
    migrate(&db, product, address).await?;
    db.connection.look_after();
    let db = Arc::new(db);
    let runs = Arc::new(Runs::new(Arc::clone(&db)));
    Ok(Core {
        observations: Arc::new(Observations::new(Arc::clone(&db), Arc::clone(&runs))),
        leases: Arc::new(Leases::new(Arc::clone(&db))),
        runs,
        db,
    })
}
