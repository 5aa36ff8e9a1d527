//! Published versions made ready to run, shared by all their runs.
//!
//! A version never changes, so what is cached is never stale.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::runs::RunError;
use crate::{domain::ids::WorkflowId, store::Store, workflows::Plan};

/// Versions kept ready. One more drops an arbitrary other: it is read again when it is needed.
const PLANS_MAX: usize = 1_024;

type Ready = BTreeMap<(WorkflowId, u32), Arc<Plan>>;

/// The cache. Cheap to clone.
#[derive(Clone)]
pub struct Plans {
    store: Store,
    ready: Arc<Mutex<Ready>>,
}

impl Plans {
    /// An empty cache over `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            ready: Arc::default(),
        }
    }

    /// Returns the plan of a published version.
    ///
    /// # Errors
    /// [`RunError::Store`] when it is missing, [`RunError::Broken`] when this version of the program cannot run it.
    pub async fn get(&self, id: WorkflowId, version: u32) -> Result<Arc<Plan>, RunError> {
        let key = (id, version);
        if let Some(plan) = self
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(Arc::clone(plan));
        }
        let stored = self.store.workflows.version(id, version).await?;
        let plan = Plan::from_json(&stored.definition).map_err(|problems| RunError::Broken {
            id,
            reason: problems.first().map_or_else(
                || "no reason".to_owned(),
                |problem| format!("{}: {}", problem.path, problem.message),
            ),
        })?;
        let plan = Arc::new(plan);
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= PLANS_MAX {
            ready.pop_first();
        }
        ready.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}
