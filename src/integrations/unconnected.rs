//! Stands where a service is that nobody has connected: every effect fails for good and says what to connect, and where.

use async_trait::async_trait;

use super::port::{EffectOutcome, EffectPort};
use crate::workflows::{Effect, Finding};

/// A service that is not connected.
pub struct Unconnected {
    /// As people call it: `Google Calendar`.
    pub name: &'static str,
    /// As the API calls it: `google_calendar`.
    pub service: &'static str,
}

#[async_trait]
impl EffectPort for Unconnected {
    async fn execute(&self, _effect: &Effect) -> EffectOutcome {
        let Self { name, service } = self;
        EffectOutcome::permanent(
            "not_connected",
            format!(
                "{name} is not connected: connect it under Integrations (POST /api/integrations/{service}/connect), then retry the run"
            ),
        )
    }

    async fn settle(&self, _effect: &Effect) -> Finding {
        // Nothing was ever sent.
        Finding::Absent
    }
}
