//! Who may do what: the one table.

use crate::store::accounts::Role;

/// Something a caller may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See everything of the account but its people and keys.
    Read,
    /// Create, change and finish tasks.
    WorkTasks,
    /// Create and change appointments.
    BookAppointments,
    /// Create and change quotes and payments.
    EditDeals,
    /// Remove appointments, quotes and payments.
    DeleteRecords,
    /// Create and change leads.
    EditLeads,
    /// Add agents, change them, and say whether they are there.
    EditAgents,
    /// Change where calls to numbers go, and remove agents.
    EditNumbers,
    /// Acknowledge alerts.
    AckAlerts,
    /// Report events and start workflows by hand.
    StartRuns,
    /// Place calls, and end those that are under way.
    HandleCalls,
    /// Listen to a live call, whisper to its agent, barge in.
    MonitorCalls,
    /// Cancel a run, or choose what becomes of an effect in doubt.
    SteerRuns,
    /// Remove a lead with everything known about it.
    DeleteLeads,
    /// Create, change, publish and delete workflows.
    EditWorkflows,
    /// See and create the account's people and keys.
    ManagePeople,
    /// Change the rules the account sets for itself.
    EditAccount,
    /// Take the second factor off somebody who has lost it.
    RemoveSecondFactors,
    /// Take everything known about a lead away in one document.
    ExportLeads,
    /// See who changed what.
    ReadAudit,
    /// See, create and delete incoming webhooks, and the secret that outgoing ones are signed with.
    ManageWebhooks,
}

impl Permission {
    /// The lowest role that may.
    #[must_use]
    pub const fn least_role(self) -> Role {
        match self {
            Self::Read | Self::WorkTasks | Self::BookAppointments => Role::Agent,
            Self::EditLeads
            | Self::EditDeals
            | Self::EditAgents
            | Self::AckAlerts
            | Self::StartRuns
            | Self::HandleCalls
            | Self::MonitorCalls
            | Self::SteerRuns => Role::Supervisor,
            Self::DeleteLeads
            | Self::DeleteRecords
            | Self::EditNumbers
            | Self::EditWorkflows
            | Self::ManagePeople
            | Self::EditAccount
            | Self::ReadAudit
            | Self::ExportLeads
            | Self::ManageWebhooks => Role::Admin,
            Self::RemoveSecondFactors => Role::Owner,
        }
    }
}
