//! Effects are asked for: claimed first, then ordered, and claimed again for every further attempt.

use super::{
    definition::Audience,
    effect::{Command, Effect, Request, SendWindow},
    frames::Begun,
    journal::Entry,
    mover::Mover,
    plan::PlannedNode,
    run::{Token, TokenState, Way},
};
use crate::domain::run::EffectState;

impl Mover<'_> {
    pub(super) fn act(&mut self, begun: Begun, planned: &PlannedNode, request: Request, way: &Way) {
        let Begun {
            node,
            kind,
            visit,
            item,
            input,
        } = begun;
        let effect = self.effect_of(&node, visit, planned, request, way);
        let (key, provider) = (effect.key.clone(), effect.provider());
        let token = self.claim(effect);
        self.place(&node, visit, way.clone(), token);
        self.note(Entry::NodeActed {
            node,
            kind,
            visit,
            item,
            input,
            key,
            provider,
        });
    }

    fn effect_of(
        &self,
        node: &str,
        visit: u32,
        planned: &PlannedNode,
        request: Request,
        way: &Way,
    ) -> Effect {
        let ids = &self.run.ids;
        Effect {
            key: Effect::key_of(ids.run, node, visit, 0),
            attempt: 1,
            holds: 0,
            run_id: ids.run,
            account_id: ids.account,
            workflow_id: ids.workflow,
            lead_id: self.run.lead_id_in(way.frame),
            call_id: ids.call,
            node: node.to_owned(),
            visit,
            planned_at: self.world.now,
            audience: planned.audience,
            window: self.window_for(planned.audience),
            valid_until: None,
            in_doubt: planned.node.in_doubt(),
            trace: self.run.trace,
            request,
        }
    }

    /// Claims one attempt and orders it. Returns what its token waits for.
    pub(super) fn claim(&mut self, effect: Effect) -> TokenState {
        self.record(&effect, EffectState::Claimed, None, None);
        self.order(Command::Act(Box::new(effect.clone())));
        TokenState::Acting(Box::new(effect))
    }

    /// The workflow's rules for when its lead may be reached, where there are any.
    fn window_for(&self, audience: Audience) -> Option<Box<SendWindow>> {
        let settings = &self.plan.definition().settings;
        let window = SendWindow {
            timezone: settings.timezone.clone(),
            quiet_hours: settings.quiet_hours,
        };
        (audience == Audience::Lead && window != SendWindow::default()).then(|| Box::new(window))
    }

    /// Claims a further attempt of the same effect; `held` of the attempts so far were not really made.
    pub(super) fn again(&mut self, token: &Token, mut effect: Effect, held: u32) {
        effect.attempt += 1;
        effect.holds += held;
        self.note(Entry::Attempted {
            node: token.node.clone(),
            visit: token.visit,
            attempt: effect.attempt,
        });
        let state = self.claim(effect);
        self.replace(token, state);
    }
}
