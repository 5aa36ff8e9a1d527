//! Opens the store: connects, brings the tables up to date, and puts the aggregates together.

use std::sync::Arc;

use super::{
    address::Address, leases::Leases, migrate::migrate, observations::Observations, runs::Runs, session::Db,
};
use crate::store::StoreResult;

/// What moves most: the rest of the aggregates is put around it.
pub(super) struct Core {
    pub(super) db: Arc<Db>,
    pub(super) runs: Arc<Runs>,
    pub(super) observations: Arc<Observations>,
    pub(super) leases: Arc<Leases>,
}

/// Connects and brings the tables up to date.
///
/// # Errors
/// `Unavailable` when no node answers, or the schema cannot be used.
pub(super) async fn open_core(address: &Address) -> StoreResult<Core> {
    let (db, product) = Db::connect(address).await?;
    migrate(&db, product, address).await?;
    let db = Arc::new(db);
    let runs = Arc::new(Runs::new(Arc::clone(&db)));
    Ok(Core {
        observations: Arc::new(Observations::new(Arc::clone(&db), Arc::clone(&runs))),
        leases: Arc::new(Leases::new(Arc::clone(&db))),
        runs,
        db,
    })
}
