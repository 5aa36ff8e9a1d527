//! The gate's rules for what goes to several people at once: each of them is judged.
//!
//! In: the facts about each. Out: who gets it and who is left out, or one objection for all. It goes to everybody at one moment, so it
//! waits for one at which none of those who may get it is quiet. Pure, as `gate_rules` is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    effect::Effect,
    gate_people::Person,
    gate_rules::{GateFacts, GateRules, Objection, Pass, Refusal, judge},
};
use crate::domain::time::Timestamp;

/// Moments that are tried before it is said that no time suits everybody.
const STEPS_MAX: usize = 50;

/// What becomes of it, by the people's places in the list.
#[derive(Debug, Default, PartialEq)]
pub struct Together {
    pub goes_to: BTreeMap<usize, Pass>,
    pub left_out: BTreeMap<usize, Refusal>,
}

/// The day's and the week's contacts with one person; nothing where no cap applies.
pub type Counts = Option<(u32, u32)>;

/// The permission for one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// The grounds, for the run's history.
    pub gate: Value,
    pub valid_until: Option<Timestamp>,
    /// Receivers of an e-mail that may not be written to: the others get it.
    pub left_out: BTreeSet<String>,
}

/// Judges what is meant for all of these people, of whom there is at least one. One alone is judged as ever.
///
/// # Errors
/// [`Objection`] when it goes to nobody now, or to nobody at all.
pub fn judge_together(people: &[GateFacts<'_>], rules: &GateRules) -> Result<Together, Objection> {
    let mut held: Option<(Timestamp, String)> = None;
    for _ in 0..STEPS_MAX {
        let (together, later) = judge_at(held.as_ref().map(|(until, _)| *until), people, rules);
        match (later, held) {
            (Some(later), _) => held = Some(later),
            (None, Some((until, reason))) => return Err(Objection::Hold { until, reason }),
            (None, None) if together.goes_to.is_empty() => {
                let first = together
                    .left_out
                    .into_values()
                    .next()
                    .unwrap_or_else(no_common_time);
                return Err(Objection::Refuse(first));
            }
            (None, None) => return Ok(together),
        }
    }
    Err(Objection::Refuse(no_common_time()))
}

impl Together {
    /// Counts the contact with each person that it goes to by `book`'s answers, in their order: whose cap is full is left out, or holds it
    /// back for all. Where there is no answer for somebody, it was held back before.
    ///
    /// # Errors
    /// [`Objection`] when it goes to nobody now, or to nobody at all: what was booked is then to be given back.
    pub fn after_caps(
        self,
        effect: &Effect,
        people: &[Person],
        booked: BTreeMap<usize, Result<Counts, Objection>>,
    ) -> Result<Permission, Objection> {
        let Self {
            goes_to,
            mut left_out,
        } = self;
        let mut grounds = None;
        let mut valid_until: Option<Timestamp> = None;
        for (place, answer) in booked {
            match answer {
                Ok(counts) => {
                    let pass = &goes_to[&place];
                    grounds.get_or_insert_with(|| pass.shown(counts));
                    // What holds for the first is shown, what holds for all bounds it.
                    valid_until = [valid_until, pass.valid_until].into_iter().flatten().min();
                }
                Err(Objection::Refuse(refusal)) => drop(left_out.insert(place, refusal)),
                Err(hold @ Objection::Hold { .. }) => return Err(hold),
            }
        }
        let is_for_somebody = grounds.is_some();
        let mut permission = Permission {
            gate: grounds.unwrap_or_else(|| json!({})),
            valid_until,
            left_out: BTreeSet::new(),
        };
        for (place, refusal) in &left_out {
            permission.leave_out(&people[*place].mailboxes, refusal);
        }
        // Copies alone are no message.
        let has_receiver = effect.request.without(&permission.left_out).is_some();
        match left_out.into_values().next() {
            Some(refusal) if !(is_for_somebody && has_receiver) => Err(Objection::Refuse(refusal)),
            Some(_) | None => Ok(permission),
        }
    }
}

impl Permission {
    /// It does not go to these mailboxes of one person.
    fn leave_out(&mut self, mailboxes: &[String], refusal: &Refusal) {
        self.left_out.extend(mailboxes.iter().cloned());
        let told = json!({"receivers": mailboxes, "code": refusal.code, "message": refusal.message});
        match self.gate["left_out"].as_array_mut() {
            Some(others) => others.push(told),
            None => self.gate["left_out"] = json!([told]),
        }
    }
}

/// Who may get it at a moment, their own `now` when none is given; and until when whoever is quiet longest then holds it back.
fn judge_at(
    at: Option<Timestamp>,
    people: &[GateFacts<'_>],
    rules: &GateRules,
) -> (Together, Option<(Timestamp, String)>) {
    let mut together = Together::default();
    let mut later: Option<(Timestamp, String)> = None;
    for (place, facts) in people.iter().enumerate() {
        let now = at.unwrap_or(facts.now);
        match judge(&GateFacts { now, ..*facts }, rules) {
            Ok(pass) => drop(together.goes_to.insert(place, pass)),
            Err(Objection::Refuse(refusal)) => drop(together.left_out.insert(place, refusal)),
            Err(Objection::Hold { until, reason }) => {
                if later.as_ref().is_none_or(|(latest, _)| until > *latest) {
                    later = Some((until, reason));
                }
            }
        }
    }
    (together, later)
}

fn no_common_time() -> Refusal {
    Refusal {
        code: "never_allowed",
        message: "there is no time of the day at which none of the receivers has quiet hours: send to each of them with for_each"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::{
            consent::ContactChannel,
            ids::{AccountId, LeadId},
            lead::Lead,
        },
        workflows::{calendar::zone, definition::QuietHours, gate_caps::Caps},
    };

    fn rules(from: &str, until: &str) -> GateRules {
        let time = |text: &str| serde_json::from_value(serde_json::json!(text)).expect("a time of day");
        GateRules {
            quiet_hours: Some(QuietHours {
                from: time(from),
                until: time(until),
            }),
            zone: zone("UTC").expect("known"),
            require_consent: false,
            reply_within: Duration::ZERO,
            caps_replies: true,
            caps: Caps::default(),
        }
    }

    fn in_zone(zone: &str) -> Lead {
        Lead {
            timezone: Some(zone.to_owned()),
            ..Lead::nameless(LeadId::fresh(), AccountId::fresh(), Timestamp::default())
        }
    }

    fn judged(leads: &[Lead], now: &str, rules: &GateRules) -> Result<Together, Objection> {
        let facts = |lead| GateFacts {
            now: now.parse().expect("a moment"),
            account_requires_consent: false,
            channel: Some(ContactChannel::Email),
            lead: Some(lead),
            to: None,
            window: None,
            last_heard: None,
        };
        judge_together(&leads.iter().map(facts).collect::<Vec<_>>(), rules)
    }

    fn places<T>(of: &BTreeMap<usize, T>) -> Vec<usize> {
        of.keys().copied().collect()
    }

    #[test]
    fn who_may_not_be_written_to_is_left_out_and_the_others_get_it() {
        let quiet = rules("21:00", "08:00");
        let mut leads = [in_zone("UTC"), in_zone("UTC"), in_zone("UTC")];
        leads[1].opted_out = true;
        let together = judged(&leads, "2026-11-23T12:00:00Z", &quiet).expect("it goes");
        assert_eq!(
            (places(&together.goes_to), places(&together.left_out)),
            (vec![0, 2], vec![1])
        );
        assert_eq!(together.left_out[&1].code, "opted_out");
        for lead in &mut leads {
            lead.opted_out = true;
        }
        let refused = judged(&leads, "2026-11-23T12:00:00Z", &quiet);
        assert!(
            matches!(&refused, Err(Objection::Refuse(refusal)) if refusal.code == "opted_out"),
            "{refused:?}"
        );
    }

    #[test]
    fn it_waits_for_a_moment_at_which_nobody_is_quiet_and_says_when_there_is_none() {
        let leads = [in_zone("America/New_York"), in_zone("Asia/Kolkata")];
        // 07:00 in New York, 17:30 in Kolkata: New York opens at 08:00, when it is 18:30 in Kolkata.
        let held = judged(&leads, "2026-11-23T12:00:00Z", &rules("21:00", "08:00"));
        let expected: Timestamp = "2026-11-23T13:00:00Z".parse().expect("a moment");
        assert!(
            matches!(&held, Err(Objection::Hold { until, .. }) if *until == expected),
            "{held:?}"
        );
        // 20:00 in New York: Kolkata opens at 08:00, when New York has closed, and so on until 08:00 in New York.
        let held = judged(&leads, "2026-11-24T01:00:00Z", &rules("21:00", "08:00"));
        let expected: Timestamp = "2026-11-24T13:00:00Z".parse().expect("a moment");
        assert!(
            matches!(&held, Err(Objection::Hold { until, .. }) if *until == expected),
            "{held:?}"
        );
        let never = judged(&leads, "2026-11-24T01:00:00Z", &rules("16:00", "08:00"));
        assert!(
            matches!(&never, Err(Objection::Refuse(refusal)) if refusal.code == "never_allowed"),
            "{never:?}"
        );
        let alone = judged(&leads[..1], "2026-11-24T01:00:00Z", &rules("16:00", "08:00"));
        assert!(matches!(alone, Err(Objection::Hold { .. })), "{alone:?}");
    }
}
