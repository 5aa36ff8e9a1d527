//! A change of a lead by hand: what is left out stays, and a field that may be empty can be emptied.
//!
//! Pure. Applied to what the store holds, so that two changes of different fields at once both count.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Lead,
    rules::{self, FieldProblem},
};
use crate::domain::{
    consent::{ConsentChange, ContactChannel},
    phone::PhoneNumber,
};

/// What is to change. Of what may be empty, the inner `None` empties it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeadChange {
    pub name: Option<String>,
    pub phone: Option<Option<PhoneNumber>>,
    pub email: Option<Option<String>>,
    pub score: Option<i32>,
    pub stage: Option<String>,
    pub timezone: Option<Option<String>>,
    pub consent: ConsentChange,
    /// Own fields to set; null removes one.
    pub fields: BTreeMap<String, Value>,
}

impl Lead {
    /// Returns the lead with the change made, and its texts in one form.
    ///
    /// # Errors
    /// Every field that does not hold.
    pub fn changed(&self, change: &LeadChange) -> Result<Self, Vec<FieldProblem>> {
        let change = change.clone();
        let mut lead = self.clone();
        lead.name = change.name.unwrap_or(lead.name);
        lead.phone = change.phone.unwrap_or(lead.phone);
        lead.email = change.email.unwrap_or(lead.email);
        lead.score = change.score.unwrap_or(lead.score);
        lead.stage = change.stage.unwrap_or(lead.stage);
        lead.timezone = change.timezone.unwrap_or(lead.timezone);
        for (field, value) in change.fields {
            match value {
                Value::Null => lead.fields.remove(&field),
                value => lead.fields.insert(field, value),
            };
        }
        lead.change_consent(&change.consent);
        rules::checked_after(self, lead)
    }

    /// A number that tells this state of the lead from every other: it stands in an `ETag`, and is no count.
    #[must_use]
    pub fn revision(&self) -> u64 {
        // A struct of texts, numbers and maps by text always becomes JSON.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = <[u8; 32]>::from(Sha256::digest(text));
        digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// Whether something is opted out of that was not `before`.
    #[must_use]
    pub fn opted_out_since(&self, before: &Self) -> bool {
        ContactChannel::ALL
            .into_iter()
            .any(|channel| self.opt_out().covers(Some(channel)) && !before.opt_out().covers(Some(channel)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{
        ids::{AccountId, LeadId},
        time::Timestamp,
    };

    #[test]
    fn what_is_left_out_stays_and_what_is_emptied_goes() {
        let mut before = Lead::nameless(
            LeadId::from_bytes([1; 16]),
            AccountId::from_bytes([2; 16]),
            Timestamp::default(),
        );
        before.name = "Ann".to_owned();
        before.email = Some("Ann@Example.com".to_owned());
        before.fields.insert("plan".to_owned(), json!("gold"));
        let change = LeadChange {
            email: Some(None),
            score: Some(7),
            consent: ConsentChange::stop(),
            fields: BTreeMap::from([
                ("plan".to_owned(), Value::Null),
                ("city".to_owned(), json!("Rome")),
            ]),
            ..LeadChange::default()
        };
        let after = before.changed(&change).expect("it holds");
        assert_eq!(
            (after.name.as_str(), after.email.as_deref(), after.score),
            ("Ann", None, 7)
        );
        assert_eq!(after.fields, BTreeMap::from([("city".to_owned(), json!("Rome"))]));
        assert!(after.opted_out_since(&before) && !before.opted_out_since(&after));
        let score = LeadChange {
            score: Some(8),
            ..LeadChange::default()
        };
        let scored = before.changed(&score).expect("it holds");
        assert_eq!(rules::difference(&before, &scored), ["score"]);
        let wrong = LeadChange {
            score: Some(101),
            stage: Some(String::new()),
            ..LeadChange::default()
        };
        assert_eq!(before.changed(&wrong).expect_err("refused").len(), 2);
    }
}
