//! Several nodes: this node's leases, its way to the others, and the door for them.
//!
//! On one box there is none of it: a store that one process serves needs no leases.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    actors::cluster::{
        Answering, Ownership,
        household::Household,
        keeper::{Keeper, Keeping},
        neighbours::Neighbours,
        signature::ClusterSecret,
        takeover::Estate,
    },
    config::Settings,
    domain::{ids::NodeId, signing::SigningKeys},
    http,
    store::leases::{LeaseStore, NodeRow},
};

/// How long a start waits for the first look at the leases.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(10);

/// This node among others, before it takes part.
pub(super) struct Membership {
    neighbours: Neighbours,
    door: Option<Door>,
}

struct Door {
    listener: TcpListener,
    node: NodeRow,
    ttl: Duration,
}

/// This node while it takes part.
pub(super) struct Member {
    keeping: Option<Keeping>,
    closing: watch::Sender<bool>,
}

impl Membership {
    /// Prepares what the actors need to know about other nodes; nobody hears of this one yet.
    pub(super) async fn prepare(
        settings: &Settings,
        signing_keys: &watch::Receiver<SigningKeys>,
    ) -> anyhow::Result<Self> {
        if !settings.store.is_shared() {
            return Ok(Self {
                neighbours: Neighbours::none(),
                door: None,
            });
        }
        let cluster = &settings.cluster;
        let listener = TcpListener::bind(&cluster.listen)
            .await
            .with_context(|| format!("cluster.listen: cannot listen on {}", cluster.listen))?;
        let bound: SocketAddr = listener
            .local_addr()
            .context("the nodes' listener has no address")?;
        let address = if cluster.advertise.is_empty() {
            format!("http://{bound}")
        } else {
            cluster.advertise.clone()
        };
        let secret = if cluster.secret.is_empty() {
            ClusterSecret::Derived(signing_keys.clone())
        } else {
            ClusterSecret::Set(cluster.secret.clone())
        };
        let neighbours = Neighbours::new(Ownership::among_nodes(), secret)
            .context("the HTTP client for other nodes cannot be built")?;
        let node = NodeRow {
            id: NodeId::fresh(),
            address,
        };
        Ok(Self {
            neighbours,
            door: Some(Door {
                listener,
                node,
                ttl: Duration::from_secs(cluster.lease_ttl_s),
            }),
        })
    }

    /// The way to the others.
    pub(super) const fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// Opens the door for the others and begins to take shards.
    pub(super) async fn join(self, leases: Arc<dyn LeaseStore>, estate: Estate) -> Member {
        let (closing, mut closed) = watch::channel(false);
        let Some(door) = self.door else {
            return Member {
                keeping: None,
                closing,
            };
        };
        tracing::info!(node = %door.node.id, address = door.node.address, "this is one of several nodes");
        let answering = Answering::new(
            estate.runs.clone(),
            estate.leads.clone(),
            estate.calls.clone(),
            estate.bus.clone(),
            self.neighbours.clone(),
        );
        let service = http::internal::words::router(answering).into_make_service();
        let served = axum::serve(door.listener, service).with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = closed.wait_for(|is_closing| *is_closing).await;
        });
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the door for other nodes failed");
            }
        });
        estate.look_after();
        let ownership = self.neighbours.ownership().clone();
        let household: Arc<dyn Household> = Arc::new(estate);
        let first = ownership.changes();
        let keeper = Keeper::new(leases, ownership, household, door.node, door.ttl);
        let keeping = keeper.start();
        if let Some(mut first) = first
            && tokio::time::timeout(FIRST_LOOK_MAX, first.changed())
                .await
                .is_err()
        {
            tracing::warn!("the leases have not been looked at yet: requests wait for that");
        }
        Member {
            keeping: Some(keeping),
            closing,
        }
    }
}

impl Member {
    /// Gives the shards back and closes the door.
    pub(super) async fn leave(self) {
        if let Some(keeping) = self.keeping {
            keeping.leave().await;
        }
        self.closing.send_replace(true);
    }
}
