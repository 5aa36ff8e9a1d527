//! What a person does with runs when a new version is out: move one, or start it over on the new version.

use ractor::RpcReplyPort;

use super::{ANSWER_MAX, RunError, RunsHandle};
use crate::{
    actors::{
        cluster::words::Word,
        run::{Reaction, RunMsg},
    },
    clock,
    domain::ids::{AccountId, RunId},
    telemetry::traces,
    workflows::{Run, migration::Migration},
};

impl RunsHandle {
    /// Moves a run to another version of its workflow. When this returns, the move is on disk.
    ///
    /// # Errors
    /// [`RunError::CannotMove`] with the reason; [`RunError::Store`] when the run or the version is missing.
    pub async fn migrate(
        &self,
        account_id: AccountId,
        run_id: RunId,
        wanted: Migration,
    ) -> Result<(), RunError> {
        self.store.runs.head(account_id, run_id).await?;
        self.migrate_here(run_id, wanted).await.map(drop)
    }

    /// Moves a run of an account that has been looked at, wherever it is.
    pub(in crate::actors) async fn migrate_here(
        &self,
        run_id: RunId,
        wanted: Migration,
    ) -> Result<Reaction, RunError> {
        let (sender, answer) = ractor::concurrency::oneshot();
        self.runs
            .deliver(run_id, RunMsg::Migrate(wanted, RpcReplyPort::from(sender)));
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(RunError::TimedOut),
        }
    }

    /// Ends a run that has not ended, and starts it over on `version` with the same trigger. Doing it twice is doing it once: the
    /// new run's id comes from the old one's.
    ///
    /// # Errors
    /// [`RunError::Ended`] when it had ended; [`RunError::Store`] when it is not the account's.
    pub async fn restart_on(
        &self,
        account_id: AccountId,
        run_id: RunId,
        version: u32,
    ) -> Result<RunId, RunError> {
        let word = Word::RestartOn {
            account_id,
            run_id,
            version,
        };
        if let Some(id) = self.told(run_id.shard(), &word).await? {
            return Ok(id);
        }
        let head = self.store.runs.head(account_id, run_id).await?;
        if head.status.is_terminal() {
            return Err(RunError::Ended(run_id));
        }
        let plan = self.plans.get(head.workflow_id, version).await?;
        let (_, snapshot) = self.store.runs.load(run_id).await?;
        let run = Run::from_snapshot(&snapshot).map_err(|error| RunError::Broken {
            id: head.workflow_id,
            reason: error.to_string(),
        })?;
        let id = RunId::derived(
            head.started_at,
            &[b"over again", run_id.as_bytes(), &version.to_be_bytes()],
        )
        .in_shard(run_id.shard());
        // The new one is there first: a crash in between leaves the old one waiting, and doing it again ends it.
        let again = Run::new(run.seed_again(id, version, clock::now()));
        self.begin(&plan, again.traced(traces::current())).await?;
        let reason = format!("started over on version {version} as {id}");
        self.cancel(account_id, run_id, reason).await?;
        Ok(id)
    }
}
