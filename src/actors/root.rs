//! The root of the supervision tree.
//!
//! Its children (the parents of calls, leads and runs, the timers, the effects) hold nothing that is not in the store. When
//! one of them fails, the process ends and its restart recovers: that is safer than going on with half a tree.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::watch;

/// Why the tree can no longer stand, once it cannot.
pub type Collapse = watch::Receiver<Option<String>>;

/// The root.
pub struct Root {
    collapsed: watch::Sender<Option<String>>,
}

impl Root {
    /// Starts the root.
    ///
    /// # Errors
    /// Never in practice: it has no start of its own that could fail.
    pub async fn start() -> Result<(ActorRef<()>, Collapse), ractor::SpawnErr> {
        let (collapsed, collapse) = watch::channel(None);
        let (root, _) = Actor::spawn(None, Self { collapsed }, ()).await?;
        Ok((root, collapse))
    }
}

impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, error) = event {
            // Nobody listens only when the process is on its way out already.
            let _ = self.collapsed.send(Some(error.to_string()));
        }
        Ok(())
    }
}
