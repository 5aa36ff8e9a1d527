//! Which shards this node acts for, and who acts for the others.
//!
//! In: what the keeper of the leases found out. Out: an answer without I/O, for every message and every append. On one box the
//! answer is always yes. Among nodes it is no from two thirds of the lease's time on, by this process's own monotonic clock, whatever the
//! database would say: a process that was stopped and goes on knows at once that it must not act.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::{sync::watch, time::Instant};

use crate::domain::{ids::NodeId, shard::Shard};

/// The epoch of a box that owns everything.
const SOLE_EPOCH: u64 = 1;

/// Who acts for a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This node, under this epoch.
    Here(u64),
    /// The node at this address.
    There(String),
    /// Nobody that is known of; somebody will in a moment.
    Nobody,
}

/// The answer. Cheap to clone.
#[derive(Clone)]
pub struct Ownership(Option<Arc<Shared>>);

struct Shared {
    table: RwLock<Table>,
    /// Counts changes of the table.
    changes: watch::Sender<u64>,
}

/// What is known of all shards.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Until when this node may act for what it holds.
    until: Option<Instant>,
    /// Epochs of the shards this node holds.
    held: BTreeMap<Shard, u64>,
    /// Owners of the others, as far as they live.
    others: BTreeMap<Shard, NodeId>,
    addresses: BTreeMap<NodeId, String>,
}

impl Table {
    /// A table of what the leases say: what is held, who holds the rest, where they are reached.
    #[must_use]
    pub fn new(
        held: BTreeMap<Shard, u64>,
        others: BTreeMap<Shard, NodeId>,
        addresses: BTreeMap<NodeId, String>,
    ) -> Self {
        Self {
            until: None,
            held,
            others,
            addresses,
        }
    }
}

impl Ownership {
    /// One box: it owns everything, for ever, and asking costs nothing.
    #[must_use]
    pub const fn sole() -> Self {
        Self(None)
    }

    /// One of several nodes; it owns nothing yet.
    #[must_use]
    pub fn among_nodes() -> Self {
        let (changes, _) = watch::channel(0);
        Self(Some(Arc::new(Shared {
            table: RwLock::default(),
            changes,
        })))
    }

    /// Whether there may be other nodes.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.0.is_some()
    }

    /// The epoch under which this node may act for `shard` at this moment; `None` when it may not.
    #[must_use]
    pub fn owns(&self, shard: Shard) -> Option<u64> {
        let Some(shared) = &self.0 else {
            return Some(SOLE_EPOCH);
        };
        let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
        let epoch = *table.held.get(&shard)?;
        table
            .until
            .is_some_and(|until| Instant::now() < until)
            .then_some(epoch)
    }

    /// Who acts for `shard`.
    #[must_use]
    pub fn owner_of(&self, shard: Shard) -> Owner {
        if let Some(epoch) = self.owns(shard) {
            return Owner::Here(epoch);
        }
        let Some(shared) = &self.0 else {
            return Owner::Here(SOLE_EPOCH);
        };
        let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
        let address = table
            .others
            .get(&shard)
            .and_then(|node| table.addresses.get(node));
        address.map_or(Owner::Nobody, |address| Owner::There(address.clone()))
    }

    /// How many nodes live, this one among them, as far as is known.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        let Some(shared) = &self.0 else { return 1 };
        let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(table.addresses.len()).unwrap_or(u32::MAX).max(1)
    }

    /// A shard that this node owns, for what may live anywhere: `drawn` chooses among them. `None` when it owns none.
    #[must_use]
    pub fn any(&self, drawn: Shard) -> Option<Shard> {
        let Some(shared) = &self.0 else {
            return Some(drawn);
        };
        let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
        if table.until.is_none_or(|until| Instant::now() >= until) {
            return None;
        }
        let count = table.held.len();
        table
            .held
            .keys()
            .nth(usize::from(drawn.number()).checked_rem(count)?)
            .copied()
    }

    /// Wakes whenever something is different; `None` on one box, where nothing ever is.
    #[must_use]
    pub fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.0.as_ref().map(|shared| shared.changes.subscribe())
    }

    /// Shards that this node holds, with their epochs, whether or not it may act for them at this moment.
    #[must_use]
    pub fn held(&self) -> BTreeMap<Shard, u64> {
        match &self.0 {
            None => Shard::all().map(|shard| (shard, SOLE_EPOCH)).collect(),
            Some(shared) => {
                let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
                table.held.clone()
            }
        }
    }

    /// Where all nodes are reached that live, this one among them.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<String> {
        self.0.as_ref().map_or_else(BTreeSet::new, |shared| {
            let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
            table.addresses.values().cloned().collect()
        })
    }

    /// Whether the time of what is held has run out.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| {
            let table = shared.table.read().unwrap_or_else(PoisonError::into_inner);
            table.until.is_none_or(|until| Instant::now() >= until)
        })
    }

    /// Lets this node act for what it holds until `until`, or longer where that was said before.
    pub(super) fn extend(&self, until: Instant) {
        if let Some(shared) = &self.0 {
            let mut table = shared.table.write().unwrap_or_else(PoisonError::into_inner);
            table.until = table.until.max(Some(until));
        }
    }

    /// Replaces what is known, all but the time.
    pub(super) fn learn(&self, table: Table) {
        if let Some(shared) = &self.0 {
            let mut known = shared.table.write().unwrap_or_else(PoisonError::into_inner);
            let until = known.until;
            *known = Table { until, ..table };
            tell_held(&known);
            drop(known);
            shared.changes.send_modify(|count| *count += 1);
        }
    }

    /// Stops acting for these shards at once.
    pub(super) fn drop_held(&self, shards: &[Shard]) {
        if let Some(shared) = &self.0 {
            let mut known = shared.table.write().unwrap_or_else(PoisonError::into_inner);
            known.held.retain(|shard, _| !shards.contains(shard));
            tell_held(&known);
            drop(known);
            shared.changes.send_modify(|count| *count += 1);
        }
    }
}

fn tell_held(table: &Table) {
    let count = u32::try_from(table.held.len()).unwrap_or(u32::MAX);
    metrics::gauge!("patchcord_shards_held").set(count);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shard(number: u16) -> Shard {
        Shard::new(number).expect("a shard")
    }

    #[test]
    fn one_box_owns_everything_for_ever() {
        let sole = Ownership::sole();
        assert!(Shard::all().all(|shard| sole.owner_of(shard) == Owner::Here(1)));
        assert_eq!(sole.any(shard(7)), Some(shard(7)));
        assert!(sole.changes().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_over_by_the_own_clock_and_nothing_is_asked() {
        let ownership = Ownership::among_nodes();
        let other = NodeId::fresh();
        ownership.learn(Table::new(
            BTreeMap::from([(shard(1), 5)]),
            BTreeMap::from([(shard(2), other), (shard(3), NodeId::fresh())]),
            BTreeMap::from([(other, "http://10.0.0.2:9080".to_owned())]),
        ));
        assert_eq!(ownership.owns(shard(1)), None, "nothing says until when");
        ownership.extend(Instant::now() + Duration::from_secs(4));
        assert_eq!(ownership.owns(shard(1)), Some(5));
        assert_eq!(ownership.any(shard(9)), Some(shard(1)));
        assert_eq!(
            ownership.owner_of(shard(2)),
            Owner::There("http://10.0.0.2:9080".to_owned())
        );
        assert_eq!(ownership.owner_of(shard(3)), Owner::Nobody, "it does not live");
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(ownership.owns(shard(1)), None);
        assert_eq!(ownership.any(shard(9)), None);
        assert!(ownership.is_over());
    }
}
