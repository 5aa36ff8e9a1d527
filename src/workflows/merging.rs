//! Merges: where branches meet.
//!
//! `all` goes on once no other token of the same item (or of the run) can come here any more. So a branch that ended, took
//! another way, failed or was never taken is not waited for, and a merge cannot hang: when only merges are left that wait
//! for one another, the earliest goes on. `any` goes on with the first; those that were on their way then end here.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    definition::PORT_OK,
    frames::Begun,
    journal::Entry,
    mover::Mover,
    nodes::MergeMode,
    run::{TokenState, Way},
};

impl Mover<'_> {
    /// A branch comes to a merge. Returns whether its way ends there: it joined others that wait, or came too late.
    pub(super) fn is_swallowed(&mut self, node: &str, mode: MergeMode, way: &Way) -> bool {
        match mode {
            MergeMode::All => self.joins(node, way),
            MergeMode::Any if way.late_at.contains(node) => {
                self.note(Entry::BranchEnded {
                    node: node.to_owned(),
                    item: self.item_of(way),
                });
                true
            }
            MergeMode::Any => false,
        }
    }

    /// The first branch comes to a merge.
    pub(super) fn merge(&mut self, mode: MergeMode, begun: Begun, way: &Way) {
        let (node, visit) = (begun.node.clone(), begun.visit);
        match mode {
            MergeMode::All => {
                self.note_waiting(begun, None);
                self.place(&node, visit, way.clone(), TokenState::Merging { arrived: 1 });
            }
            MergeMode::Any => {
                self.outrun(&node, way);
                self.pass(begun, PORT_OK.into(), json!({"branches": 1}), way);
            }
        }
    }

    /// A branch that finds others waiting joins them. Returns whether it did.
    fn joins(&mut self, node: &str, way: &Way) -> bool {
        let Some(token) = self.run.tokens.values_mut().find(|token| {
            token.node == node
                && token.way.frame == way.frame
                && matches!(token.state, TokenState::Merging { .. })
        }) else {
            return false;
        };
        let TokenState::Merging { arrived } = &mut token.state else {
            return false;
        };
        *arrived += 1;
        let entry = Entry::BranchJoined {
            node: node.to_owned(),
            visit: token.visit,
            arrived: *arrived,
        };
        // What goes on is late only where all that came together are.
        token.way.late_at.retain(|merge| way.late_at.contains(merge));
        self.note(entry);
        true
    }

    /// Lets one merge go on that nothing can come to any more. Returns whether one did.
    pub(super) fn fire_merge(&mut self) -> bool {
        let merging: Vec<u32> = self
            .run
            .tokens
            .iter()
            .filter(|(number, token)| {
                matches!(token.state, TokenState::Merging { .. }) && !self.is_awaited(**number)
            })
            .map(|(number, _)| *number)
            .collect();
        let upstream = merging.iter().find(|number| {
            let others = merging.iter().filter(|other| other != number);
            !others.into_iter().any(|other| self.can_reach(*other, **number))
        });
        let Some(number) = upstream.or_else(|| merging.first()).copied() else {
            return false;
        };
        let Some(token) = self.take(number) else {
            return false;
        };
        let TokenState::Merging { arrived } = token.state else {
            return false;
        };
        self.leave(&token, PORT_OK, json!({"branches": arrived}), None);
        true
    }

    /// Whether a token that is no merge can still come to this one.
    fn is_awaited(&self, number: u32) -> bool {
        self.run.tokens.iter().any(|(other, token)| {
            !matches!(token.state, TokenState::Merging { .. }) && self.can_reach(*other, number)
        })
    }

    /// Whether one token can come to where another stands, on the same item.
    fn can_reach(&self, from: u32, to: u32) -> bool {
        let (Some(from), Some(to)) = (self.run.tokens.get(&from), self.run.tokens.get(&to)) else {
            return false;
        };
        from.way.frame == to.way.frame && self.plan.leads_to(&from.node, &to.node)
    }

    /// Another branch has come through the merge first: those that are on their way to it end there.
    fn outrun(&mut self, merge: &str, way: &Way) {
        let plan = self.plan;
        for token in self.run.tokens.values_mut() {
            if token.way.frame == way.frame && plan.leads_to(&token.node, merge) {
                token.way.late_at.insert(merge.to_owned());
            }
        }
        for arrival in self.arrivals() {
            if arrival.way.frame == way.frame && (arrival.node == merge || plan.leads_to(arrival.node, merge))
            {
                arrival.way.late_at.insert(merge.to_owned());
            }
        }
    }

    /// The merges that a token is late at and can still come to.
    pub(super) fn still_late(&self, node: &str, late_at: BTreeSet<String>) -> BTreeSet<String> {
        let plan = self.plan;
        late_at
            .into_iter()
            .filter(|merge| plan.leads_to(node, merge))
            .collect()
    }
}
