//! Appointments: when somebody meets a lead, and whether it came to it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ids::{AccountId, AppointmentId, LeadId},
    observation::EventType,
    resource::{ResourceKey, eventful, resource},
    time::Timestamp,
};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentStatus {
    /// It is to take place.
    Booked,
    /// It took place.
    Completed,
    /// It was called off.
    Cancelled,
    /// The lead did not come.
    NoShow,
}

impl AppointmentStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::NoShow => "no_show",
        }
    }
}

/// A meeting with a lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Appointment {
    #[schema(value_type = String)]
    pub id: AppointmentId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// Whom it is about.
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    /// What it is about.
    pub title: String,
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
    pub location: Option<String>,
    pub notes: String,
    pub status: AppointmentStatus,
    /// Counts changes, from 1; send it as `If-Match` with a change.
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

resource!(Appointment as Appointment by id {
    fn group(&self) -> Option<ResourceKey> {
        self.lead_id.map(|id| *id.as_bytes())
    }

    fn state(&self) -> &'static str {
        self.status.as_str()
    }
});

eventful!(Appointment {
    fn event(&self, before: Option<&Self>) -> Option<EventType> {
        if before.is_some_and(|before| before.status == self.status) {
            return None;
        }
        match self.status {
            AppointmentStatus::Booked => Some(EventType::APPOINTMENT_BOOKED),
            AppointmentStatus::Cancelled => Some(EventType::APPOINTMENT_CANCELLED),
            AppointmentStatus::NoShow => Some(EventType::APPOINTMENT_NO_SHOW),
            AppointmentStatus::Completed => None,
        }
    }

    fn data(&self) -> Value {
        json!({
            "id": self.id, "appointment_id": self.id, "status": self.status, "source": "api",
            "title": self.title, "starts_at": self.starts_at, "ends_at": self.ends_at, "location": self.location,
            "notes": self.notes,
        })
    }

    fn lead_id(&self) -> Option<LeadId> {
        self.lead_id
    }
});
