//! Where runs and effects stand in a trace: copied along as data, and nothing more.

use super::{effect::Effect, run::Run};
use crate::domain::trace::TraceContext;

impl Run {
    /// The same run, traced below this place.
    #[must_use]
    pub const fn traced(mut self, trace: Option<TraceContext>) -> Self {
        self.trace = trace;
        self
    }

    /// The place below which it is traced, when it is.
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }
}

impl Effect {
    /// The same, asked for at this place of a trace.
    #[must_use]
    pub fn placed(&self, place: Option<TraceContext>) -> Self {
        Self {
            trace: place.or(self.trace),
            ..self.clone()
        }
    }
}
