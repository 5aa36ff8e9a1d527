//! How the shards are spread: evenly over the nodes that live, moving as few as can be.
//!
//! Pure: every node reckons the same from the same leases, and takes or gives back only what is its own part of the plan. Where two
//! nodes see different leases for a moment, the database decides who gets a shard and the next look mends the rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    ids::NodeId,
    shard::{SHARDS, Shard},
};

/// Who holds which shard; a shard without a living owner is not in it.
pub type Holdings = BTreeMap<Shard, NodeId>;

/// What one node should do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub take: Vec<Shard>,
    pub give_back: Vec<Shard>,
}

/// What `node` should take and give back. A node that leaves gives everything back and is not in `living`.
///
/// `strays` are leases that bear its name without being its. To the others they look held while it lives: it takes them first, and gives back
/// those that it has no use for. While it does not live they are anybody's, and nothing has to be done about them.
#[must_use]
pub fn plan(node: NodeId, living: &BTreeSet<NodeId>, holdings: &Holdings, strays: &[Shard]) -> Plan {
    let strays: &[Shard] = if living.contains(&node) { strays } else { &[] };
    let mine = holdings
        .iter()
        .filter(|(_, owner)| **owner == node)
        .map(|(shard, _)| *shard);
    let quota = quotas(living, holdings).get(&node).copied().unwrap_or(0);
    let wanted = quota.saturating_sub(mine.clone().count());
    let free: Vec<Shard> = Shard::all()
        .filter(|shard| !holdings.contains_key(shard) && !strays.contains(shard))
        .collect();
    // Each node begins at another place, so that two do not ask for the same ones.
    let rank = living.iter().position(|living| *living == node).unwrap_or(0);
    let begin = rank * free.len() / living.len().max(1);
    let free = free.iter().cycle().skip(begin).take(free.len());
    Plan {
        take: strays.iter().chain(free).take(wanted).copied().collect(),
        give_back: mine
            .skip(quota)
            .chain(strays.iter().skip(wanted).copied())
            .collect(),
    }
}

/// How many shards each node should have: as even as can be. The odd ones out go to those that have more already.
fn quotas(living: &BTreeSet<NodeId>, holdings: &Holdings) -> BTreeMap<NodeId, usize> {
    let count = living.len().max(1);
    let (share, odd) = (usize::from(SHARDS) / count, usize::from(SHARDS) % count);
    let has_more = |node: &&NodeId| holdings.values().filter(|owner| owner == node).count() > share;
    let (with_more, others): (Vec<&NodeId>, Vec<&NodeId>) = living.iter().partition(has_more);
    with_more
        .into_iter()
        .chain(others)
        .enumerate()
        .map(|(at, node)| (*node, share + usize::from(at < odd)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets every node act on the same picture, one after the other, until nobody wants to; returns how many shards moved.
    fn settle(living: &BTreeSet<NodeId>, holdings: &mut Holdings) -> usize {
        holdings.retain(|_, owner| living.contains(owner));
        let mut moved = 0;
        for _ in 0..20 {
            let before = holdings.clone();
            for node in living {
                let plan = plan(*node, living, &before, &[]);
                for shard in plan.give_back {
                    holdings.remove(&shard);
                }
                for shard in plan.take {
                    if let std::collections::btree_map::Entry::Vacant(free) = holdings.entry(shard) {
                        free.insert(*node);
                        moved += 1;
                    }
                }
            }
            if *holdings == before {
                return moved;
            }
        }
        panic!("it never settles: {holdings:?}");
    }

    fn sizes(living: &BTreeSet<NodeId>, holdings: &Holdings) -> Vec<usize> {
        let of = |node: &NodeId| holdings.values().filter(|owner| *owner == node).count();
        let mut sizes: Vec<usize> = living.iter().map(of).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn nodes_that_join_and_leave_have_even_parts_and_few_shards_move() {
        let [a, b, c] = [NodeId::fresh(), NodeId::fresh(), NodeId::fresh()];
        let mut holdings = Holdings::new();
        let mut living = BTreeSet::from([b]);
        assert_eq!(settle(&living, &mut holdings), 256);
        living.insert(a);
        assert_eq!(settle(&living, &mut holdings), 128);
        assert_eq!(sizes(&living, &holdings), [128, 128]);
        living.insert(c);
        let moved = settle(&living, &mut holdings);
        assert_eq!(sizes(&living, &holdings), [85, 85, 86]);
        assert!(moved <= 86, "{moved}");
        living.remove(&b);
        let moved = settle(&living, &mut holdings);
        assert!(moved <= 86, "{moved}");
        assert_eq!(sizes(&living, &holdings), [128, 128]);
    }

    #[test]
    fn a_node_that_does_not_live_wants_nothing_and_gives_back_everything() {
        let (gone, other) = (NodeId::fresh(), NodeId::fresh());
        let holdings: Holdings = Shard::all().take(3).map(|shard| (shard, gone)).collect();
        let strays: Vec<Shard> = Shard::all().skip(3).take(4).collect();
        let plan = plan(gone, &BTreeSet::from([other]), &holdings, &strays);
        assert_eq!(
            plan.give_back.len(),
            3,
            "strays are anybody's while it does not live"
        );
        assert_eq!(plan.take, []);
    }

    #[test]
    fn strays_are_taken_first_and_what_is_over_is_given_back() {
        let (one, other) = (NodeId::fresh(), NodeId::fresh());
        let living = BTreeSet::from([one, other]);
        let held: Holdings = Shard::all().take(100).map(|shard| (shard, other)).collect();
        let strays: Vec<Shard> = Shard::all().skip(110).take(140).collect();
        let planned = plan(one, &living, &held, &strays);
        assert_eq!(
            (planned.take.as_slice(), planned.give_back.as_slice()),
            strays.split_at(128)
        );
        let few = strays.get(..100).expect("there are more");
        let planned = plan(one, &living, &held, few);
        assert_eq!((planned.take.len(), planned.give_back.len()), (128, 0));
        assert!(planned.take.starts_with(few));
    }

    #[test]
    fn more_nodes_than_shards_leave_some_with_none() {
        let living: BTreeSet<NodeId> = (0..300).map(|_| NodeId::fresh()).collect();
        let mut holdings = Holdings::new();
        settle(&living, &mut holdings);
        assert_eq!(holdings.len(), 256);
        assert_eq!(sizes(&living, &holdings)[299], 1);
    }
}
