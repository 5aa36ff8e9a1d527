//! A run is moved to another version: one durable append through the run's own actor, like everything else about it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Loaded, MOVED_RETRIES_MAX, Reaction, RunActor, RunFault, RunState};
use crate::{
    actors::{
        appending::{append_of, world_of},
        runs::RunError,
    },
    store::{StoreError, StoreResult},
    workflows::{
        Entry, JournalEntry, Run,
        migration::{Migration, migrate, outputs_of},
    },
};

impl RunActor {
    /// Moves the run to another version of its workflow, or says why it stays.
    pub(super) async fn migrate(
        &self,
        state: &mut RunState,
        wanted: &Migration,
    ) -> Result<Reaction, RunFault> {
        for _ in 0..=MOVED_RETRIES_MAX {
            // Read afresh: this is rare, and what is on disk is what is moved.
            self.load(state).await?;
            let Some(loaded) = &state.loaded else { continue };
            let (run, from) = (&loaded.run, &loaded.plan);
            let to = self.kind.plans.get(run.workflow_id(), wanted.version).await?;
            let outputs = self.outputs(run).await?;
            let world = world_of(&self.kind.store, &to, run).await?;
            let moved = migrate(run.clone(), (from, &to), wanted, &outputs, &world).map_err(|error| {
                RunError::CannotMove {
                    run_id: state.id,
                    reason: error.to_string(),
                }
            })?;
            let revision = loaded.revision;
            match self
                .kind
                .store
                .runs
                .append(append_of(&moved, (revision, self.epoch(state.id)?), world.now))
                .await
            {
                Ok(()) => (),
                Err(StoreError::Moved { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            tracing::info!(run_id = %state.id, version = wanted.version, "run moved to another version");
            self.carry_out(state, &to, &moved, revision + 1);
            state.loaded = Some(Loaded {
                run: moved.run,
                plan: to,
                revision: revision + 1,
            });
            return Ok(Reaction::Moved);
        }
        Err(RunFault::Contended(state.id))
    }

    /// What every step gave, from the journal. A line of another program's version is passed over: its output is missed only when
    /// the new version reads it, and then by name.
    async fn outputs(&self, run: &Run) -> StoreResult<BTreeMap<String, Value>> {
        let lines = self.kind.store.runs.journal(run.account_id(), run.id()).await?;
        let entries: Vec<JournalEntry> = lines
            .into_iter()
            .filter_map(|line| {
                let entry = Entry::from_json(&line.entry).ok()?;
                Some(JournalEntry {
                    seq: line.seq,
                    at: line.at,
                    entry,
                })
            })
            .collect();
        Ok(outputs_of(&entries))
    }
}
