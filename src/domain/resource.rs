//! Resources: things of an account that are kept whole, listed newest first, and found by a group and by a state.
//!
//! Appointments, quotes and payments are resources that raise events when their state changes; imports, agents and numbers are kept
//! the same way.

use serde::{Serialize, de::DeserializeOwned};

use super::{
    ids::{AccountId, LeadId},
    observation::EventType,
    time::Timestamp,
};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    Appointment,
    Quote,
    Payment,
    LeadImport,
    ImportPart,
    Agent,
    Number,
    WebhookRule,
    Delivery,
    Erasure,
    RetentionSweep,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Appointment,
        Self::Quote,
        Self::Payment,
        Self::LeadImport,
        Self::ImportPart,
        Self::Agent,
        Self::Number,
        Self::WebhookRule,
        Self::Delivery,
        Self::Erasure,
        Self::RetentionSweep,
    ];

    /// The number is on disk and in cursors: never reuse one.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Appointment => 1,
            Self::Quote => 2,
            Self::Payment => 3,
            Self::LeadImport => 4,
            Self::ImportPart => 5,
            Self::Agent => 6,
            Self::Number => 7,
            Self::WebhookRule => 8,
            Self::Delivery => 9,
            Self::Erasure => 10,
            Self::RetentionSweep => 11,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// As messages call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Appointment => "appointment",
            Self::Quote => "quote",
            Self::Payment => "payment",
            Self::LeadImport => "import",
            Self::ImportPart => "part of an import",
            Self::Agent => "agent",
            Self::Number => "number",
            Self::WebhookRule => "mapping",
            Self::Delivery => "delivery",
            Self::Erasure => "erasure",
            Self::RetentionSweep => "sweep",
        }
    }
}

/// The sixteen bytes of a typed id.
pub type ResourceKey = [u8; 16];

/// Something that is kept whole.
pub trait Resource: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    const KIND: ResourceKind;

    fn account_id(&self) -> AccountId;
    fn key(&self) -> ResourceKey;
    /// Its place in lists; it never changes.
    fn created_at(&self) -> Timestamp;
    /// What it is listed under besides its account: a lead, an import, a webhook.
    fn group(&self) -> Option<ResourceKey> {
        None
    }
    /// A word that lists are filtered by.
    fn state(&self) -> &'static str;
}

/// A resource that people change, and whose state tells workflows something.
pub trait Eventful: Resource {
    /// What follows from its being as it is after it was `before`; `None` before it was made.
    fn event(&self, before: Option<&Self>) -> Option<EventType>;
    /// What workflows see as `trigger.data`.
    fn data(&self) -> serde_json::Value;
    fn lead_id(&self) -> Option<LeadId> {
        None
    }
    /// Counts changes, from 1.
    fn revision(&self) -> u64;
    /// Marks a change.
    fn touch(&mut self, revision: u64, at: Timestamp);
}

/// Makes a type with `account_id` and `created_at` a [`Resource`]: of which kind, by the id in which field, and what is its own.
macro_rules! resource {
    ($name:ident as $kind:ident by $id:ident { $($own:tt)* }) => {
        impl $crate::domain::resource::Resource for $name {
            const KIND: $crate::domain::resource::ResourceKind = $crate::domain::resource::ResourceKind::$kind;

            fn account_id(&self) -> $crate::domain::ids::AccountId {
                self.account_id
            }

            fn key(&self) -> $crate::domain::resource::ResourceKey {
                *self.$id.as_bytes()
            }

            fn created_at(&self) -> $crate::domain::time::Timestamp {
                self.created_at
            }

            $($own)*
        }
    };
}
pub(super) use resource;

/// Makes a resource with `revision` and `updated_at` [`Eventful`]; what it tells is its own.
macro_rules! eventful {
    ($name:ident { $($own:tt)* }) => {
        impl $crate::domain::resource::Eventful for $name {
            fn revision(&self) -> u64 {
                self.revision
            }

            fn touch(&mut self, revision: u64, at: $crate::domain::time::Timestamp) {
                self.revision = revision;
                self.updated_at = at;
            }

            $($own)*
        }
    };
}
pub(super) use eventful;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        for kind in ResourceKind::ALL {
            assert_eq!(ResourceKind::of_number(kind.number()), Some(kind));
        }
        assert_eq!(ResourceKind::of_number(0), None);
    }
}
