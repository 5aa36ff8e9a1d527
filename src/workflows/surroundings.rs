//! What the nodes of a run see: the run's own surroundings, and those of each loop's item.
//!
//! Built once a step and only when an expression asks; dropped when an output changes.

use serde_json::Value;

use super::{
    frames::lead_id_of,
    mover::Mover,
    nodes::{RunFacts, Scene},
    scope::{Scope, lead_of_item},
    snapshot::Kept,
};
use crate::domain::lead::Lead;

/// What the nodes of one frame see.
pub(super) struct Surroundings {
    scope: Scope,
    /// The lead, when it is an item of a loop.
    lead: Option<Lead>,
}

impl Mover<'_> {
    pub(super) fn keep_output(&mut self, node: &str, output: &Value, frame: Option<u32>) {
        if !self.plan.keeps_output(node) {
            return;
        }
        let output = Kept::new(output.clone());
        match frame.and_then(|number| self.run.frames.get_mut(&number)) {
            Some(frame) => {
                frame.outputs.insert(node.to_owned(), output);
            }
            None => self.keep_own_output(node, output),
        }
        self.scopes.clear();
    }

    fn keep_own_output(&mut self, node: &str, output: Kept) {
        if let Some(part) = self.part_of(&output) {
            self.run.outputs.remove(node);
            self.run.large_outputs.insert(node.to_owned(), part);
        } else {
            self.run.outputs.insert(node.to_owned(), output);
            self.run.large_outputs.remove(node);
        }
    }

    pub(super) fn forget_scope(&mut self, frame: Option<u32>) {
        self.scopes.remove(&frame);
    }

    /// What expressions in a frame see.
    pub(super) fn scope_in(&mut self, frame: Option<u32>) -> Scope {
        self.surroundings(frame).scope.clone()
    }

    fn surroundings(&mut self, frame: Option<u32>) -> &Surroundings {
        if !self.scopes.contains_key(&frame) {
            let surroundings = self.look_around(frame);
            self.scopes.insert(frame, surroundings);
        }
        &self.scopes[&frame]
    }

    fn look_around(&mut self, frame: Option<u32>) -> Surroundings {
        let Some(about) = frame.and_then(|number| self.run.frames.get(&number)).cloned() else {
            let zone = self.plan.definition().settings.timezone.as_deref();
            return Surroundings {
                scope: Scope::of(self.world, zone, &self.run.trigger, &self.run.all_outputs()),
                lead: None,
            };
        };
        let outer = self.surroundings(about.parent);
        let (outer_scope, outer_lead) = (outer.scope.clone(), outer.lead.clone());
        let lead = lead_id_of(&about.item.0)
            .and_then(|id| lead_of_item(id, self.run.ids.account, &about.item.0, self.world.now))
            .or(outer_lead);
        Surroundings {
            scope: outer_scope.in_frame(&about.item, about.index, &about.outputs, lead.as_ref()),
            lead,
        }
    }

    pub(super) fn scene<'s>(&'s mut self, node: &'s str, frame: Option<u32>) -> Scene<'s> {
        self.surroundings(frame);
        let (plan, world, run) = (self.plan, self.world, &*self.run);
        let surroundings = &self.scopes[&frame];
        Scene {
            scope: &surroundings.scope,
            now: world.now,
            lead: surroundings.lead.as_ref().or(world.lead.as_ref()),
            settings_zone: plan.definition().settings.timezone.as_deref(),
            run: RunFacts {
                id: run.ids.run,
                workflow_id: run.ids.workflow,
                lead_id: run.lead_id_in(frame),
                own_lead_id: run.ids.lead,
                call_id: run.ids.call,
                started_at: run.started_at,
                depth: run.ids.depth,
                node,
            },
            trigger: &run.trigger,
        }
    }
}
