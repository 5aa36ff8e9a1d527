//! What the demo server knows when it starts: its credentials, a lead and the built-in automations, switched on.

use anyhow::Context as _;

use crate::{
    clock,
    domain::{
        ids::{AccountId, LeadId, WorkflowId},
        lead::Lead,
    },
    store::{
        Store, StoreError,
        workflows::{WorkflowRow, WorkflowVersion},
    },
    workflows::{Definition, automations},
};

/// The Twilio account that the demo server answers for. Not a secret: it listens on loopback only.
pub const ACCOUNT_SID: &str = "AC5eed5eed5eed5eed5eed5eed5eed5eed";
/// Its auth token.
pub const AUTH_TOKEN: &str = "dev-auth-token-for-loopback-only";
/// Who signs in to the demo server.
pub const EMAIL: &str = "demo@patchcord.example";
/// Their password.
pub const PASSWORD: &str = "patchcord-demo";
/// The number that is called. All numbers here are from the range kept for fiction.
pub const OUR_NUMBER: &str = "+14155550199";
/// Where an agent is dialled.
pub const AGENT_NUMBER: &str = "+14155550142";
/// The customer of the demonstration call.
pub const CALLER_NUMBER: &str = "+14155550100";

/// Fills an empty account. What is there already stays as it is: people try things out and start again.
///
/// # Errors
/// When the store does not answer, or a built-in automation is broken.
pub async fn fill(store: &Store, account_id: AccountId) -> anyhow::Result<()> {
    let now = clock::now();
    let lead = Lead {
        name: "Dana Whitfield".to_owned(),
        phone: Some(CALLER_NUMBER.parse().context("the demo caller's number")?),
        email: Some("dana@customer.example".to_owned()),
        score: 62,
        stage: "customer".to_owned(),
        timezone: Some("America/Los_Angeles".to_owned()),
        ..Lead::nameless(LeadId::fresh(), account_id, now)
    };
    store.leads.find_or_create_by_phone(lead).await?;
    for automation in automations::ALL {
        // The id comes from the account and the automation: filling twice finds the first.
        let id = WorkflowId::derived(
            crate::domain::time::Timestamp::default(),
            &[account_id.as_bytes(), automation.slug.as_bytes()],
        );
        match store.workflows.get(account_id, id).await {
            Ok(_) => continue,
            Err(StoreError::Missing { .. }) => (),
            Err(error) => return Err(error.into()),
        }
        let definition = Definition::from_json(automation.definition).map_err(|problems| {
            anyhow::anyhow!("the automation {} is broken: {problems:?}", automation.slug)
        })?;
        let text = definition.to_json();
        let row = WorkflowRow {
            id,
            account_id,
            name: definition.name.clone(),
            enabled: true,
            draft: text.clone(),
            published: 1,
            trigger: definition.trigger.kind.as_str().to_owned(),
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        let version = WorkflowVersion {
            workflow_id: id,
            version: 1,
            definition: text,
            published_at: now,
        };
        store.workflows.create(row, Some(version)).await?;
    }
    Ok(())
}
