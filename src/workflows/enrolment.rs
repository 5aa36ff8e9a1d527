//! Whether a matching fact starts a run for its lead, and how that rule is written in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::definition::{Enrolment, WhenActive};
use crate::domain::ids::RunId;

/// What is known about the workflow's earlier runs for the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// Whether there ever was one.
    pub any: bool,
    /// Those that have not ended, oldest first.
    pub active: &'a [RunId],
}

/// What to do with the match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    Start,
    /// Start once these have ended.
    StartAfter(Vec<RunId>),
    /// Cancel these, then start.
    Replace(Vec<RunId>),
    /// Start nothing; the reason is for the history.
    Refuse(&'static str),
}

/// Decides. A fact about no lead always starts a run: there is nobody to count by.
#[must_use]
pub fn admit(enrolment: Enrolment, earlier: Earlier<'_>) -> Admission {
    match enrolment {
        Enrolment::EveryTime => Admission::Start,
        Enrolment::OncePerLead if earlier.any => Admission::Refuse("the lead has been through this workflow"),
        Enrolment::OneActivePerLead(when) if !earlier.active.is_empty() => match when {
            WhenActive::Queue => Admission::StartAfter(earlier.active.to_vec()),
            WhenActive::Ignore => Admission::Refuse("the lead is still in this workflow"),
            WhenActive::Replace => Admission::Replace(earlier.active.to_vec()),
        },
        Enrolment::OncePerLead | Enrolment::OneActivePerLead(_) => Admission::Start,
    }
}

impl Serialize for Enrolment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::EveryTime => serializer.serialize_str("every_time"),
            Self::OncePerLead => serializer.serialize_str("once_per_lead"),
            Self::OneActivePerLead(when) => {
                serializer.collect_map(std::iter::once(("one_active_per_lead", when)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Enrolment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected `every_time`, `once_per_lead`, `one_active_per_lead` or {\"one_active_per_lead\": \"queue\" | \"ignore\" | \"replace\"}"
        )]
        enum Written {
            Word(Word),
            Choice(Choice),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Word {
            EveryTime,
            OncePerLead,
            OneActivePerLead,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Choice {
            one_active_per_lead: WhenActive,
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Word(Word::EveryTime) => Self::EveryTime,
            Written::Word(Word::OncePerLead) => Self::OncePerLead,
            Written::Word(Word::OneActivePerLead) => Self::OneActivePerLead(WhenActive::default()),
            Written::Choice(Choice { one_active_per_lead }) => Self::OneActivePerLead(one_active_per_lead),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_admits_and_refuses_what_it_says() {
        let active = [RunId::fresh()];
        let (none, over, on) = (
            Earlier {
                any: false,
                active: &[],
            },
            Earlier {
                any: true,
                active: &[],
            },
            Earlier {
                any: true,
                active: &active,
            },
        );
        let one = |when| Enrolment::OneActivePerLead(when);
        assert_eq!(admit(Enrolment::EveryTime, on), Admission::Start);
        assert_eq!(admit(Enrolment::OncePerLead, none), Admission::Start);
        assert!(matches!(
            admit(Enrolment::OncePerLead, over),
            Admission::Refuse(_)
        ));
        assert_eq!(admit(one(WhenActive::Ignore), over), Admission::Start);
        assert!(matches!(admit(one(WhenActive::Ignore), on), Admission::Refuse(_)));
        assert_eq!(
            admit(one(WhenActive::Queue), on),
            Admission::StartAfter(active.to_vec())
        );
        assert_eq!(
            admit(one(WhenActive::Replace), on),
            Admission::Replace(active.to_vec())
        );
    }
}
