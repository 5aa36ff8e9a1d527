//! Merging a duplicate into the lead that is kept: what is taken over, and what the stricter of two opt-outs and consents is.
//!
//! Pure. In: both leads. Out: the kept lead with everything it lacked, known from then on by the duplicate's id, numbers and addresses too.
//! Done again it changes nothing, so that a merge that was cut off is simply done once more.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Lead, rules};
use crate::domain::{
    consent::{ConsentChange, ContactChannel, Standing},
    email::folded,
    ids::{AccountId, LeadId, ObservationId},
    observation::{EventType, Observation},
    phone::PhoneNumber,
    time::Timestamp,
};

/// Most duplicates that one lead takes in.
pub const MERGED_MAX: usize = 100;

/// By what a lead is known besides its own id, number and address: what its duplicates were known by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Merged {
    /// Ids of the duplicates: each of them answers as this lead.
    #[schema(value_type = Vec<String>, required)]
    pub ids: Vec<LeadId>,
    /// Their numbers: whoever calls or writes from one is this lead.
    #[schema(value_type = Vec<String>, required)]
    pub phones: Vec<PhoneNumber>,
    /// Their e-mail addresses.
    #[schema(required)]
    pub emails: Vec<String>,
}

impl Merged {
    /// Whether no duplicate was ever merged.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Why two leads cannot be made one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeRefusal {
    #[error("a lead cannot be merged with itself")]
    Itself,
    #[error("a lead takes in at most {MERGED_MAX} duplicates")]
    TooMany,
    #[error(
        "both together would have more than {} fields of their own: remove some first",
        rules::FIELDS_MAX
    )]
    TooManyFields,
}

impl Lead {
    /// The lead's own id and those of the duplicates that were merged into it.
    #[must_use]
    pub fn ids(&self) -> Vec<LeadId> {
        std::iter::once(self.id)
            .chain(self.merged.ids.iter().copied())
            .collect()
    }

    /// Every number that is this lead's.
    pub fn phones(&self) -> impl Iterator<Item = &PhoneNumber> {
        let others = self.merged.phones.iter();
        self.phone
            .iter()
            .chain(others.filter(|phone| Some(*phone) != self.phone.as_ref()))
    }

    /// Every e-mail address that is this lead's, folded.
    pub fn folded_emails(&self) -> impl Iterator<Item = String> {
        self.email
            .iter()
            .chain(&self.merged.emails)
            .map(|email| folded(email))
    }

    /// Takes over what `duplicate` has and this lead lacks, and by what it is known. Opt-outs and refusals of either stay.
    ///
    /// # Errors
    /// When there is no room for it; nothing is changed then.
    pub fn absorb(&mut self, duplicate: &Self) -> Result<(), MergeRefusal> {
        if self.id == duplicate.id {
            return Err(MergeRefusal::Itself);
        }
        let mut fields = duplicate.fields.clone();
        fields.extend(self.fields.clone());
        if fields.len() > rules::FIELDS_MAX.max(self.fields.len()) {
            return Err(MergeRefusal::TooManyFields);
        }
        let mut merged = self.merged.clone();
        // Two merges that cross may make each the other's.
        let theirs = duplicate.ids().into_iter().filter(|id| *id != self.id);
        add(&mut merged.ids, theirs);
        if merged.ids.len() > MERGED_MAX {
            return Err(MergeRefusal::TooMany);
        }
        self.agree_on_consent(duplicate);
        add(&mut merged.phones, duplicate.phones().cloned());
        let emails = duplicate.email.iter().chain(&duplicate.merged.emails);
        for email in emails {
            if !merged.emails.iter().any(|known| folded(known) == folded(email)) {
                merged.emails.push(email.clone());
            }
        }
        if self.name.is_empty() {
            self.name.clone_from(&duplicate.name);
        }
        self.phone = self.phone.take().or_else(|| duplicate.phone.clone());
        self.email = self.email.take().or_else(|| duplicate.email.clone());
        self.timezone = self.timezone.take().or_else(|| duplicate.timezone.clone());
        self.assigned_to = self.assigned_to.or(duplicate.assigned_to);
        self.fields = fields;
        merged.phones.retain(|phone| Some(phone) != self.phone.as_ref());
        let own = self.email.as_deref().map(folded);
        merged.emails.retain(|email| Some(folded(email)) != own);
        self.merged = merged;
        Ok(())
    }

    /// What either opted out of or refused stays so. A consent is taken over only with the number or address that it was given for.
    fn agree_on_consent(&mut self, duplicate: &Self) {
        self.join_opt_out(&duplicate.opt_out());
        let mut change = ConsentChange::default();
        for channel in ContactChannel::ALL {
            let (ours, theirs) = (self.consent.of(channel), duplicate.consent.of(channel));
            let is_given_for_ours = match channel {
                ContactChannel::Sms | ContactChannel::Call => {
                    self.phone.is_none() || self.phone == duplicate.phone
                }
                ContactChannel::Email => {
                    self.email.is_none()
                        || self.email.as_deref().map(folded) == duplicate.email.as_deref().map(folded)
                }
            };
            let stricter = match (ours, theirs) {
                (Standing::Denied, _) | (_, Standing::Denied) => Standing::Denied,
                (Standing::Unknown, Standing::Granted) if is_given_for_ours => Standing::Granted,
                (standing, _) => standing,
            };
            change.consent.push((channel, stricter));
        }
        self.change_consent(&change);
    }
}

/// Facts that follow from a merge, under ids that a repeat finds again.
#[must_use]
pub fn merge_facts(before: &Lead, after: &Lead, duplicate: LeadId, at: Timestamp) -> Vec<Observation> {
    let mut changed = rules::difference(before, after);
    changed.push("merged".to_owned());
    let told = json!({"source": "merge", "merged": duplicate, "changed": changed});
    let mut facts = vec![fact(after, EventType::LEAD_UPDATED, duplicate, at, told)];
    let is_news = |channel: &ContactChannel| {
        after.opt_out().covers(Some(*channel)) && !before.opt_out().covers(Some(*channel))
    };
    if ContactChannel::ALL.iter().any(is_news) {
        let told = json!({"source": "merge", "merged": duplicate, "opted_out_of": after.opted_out_of});
        facts.push(fact(after, EventType::LEAD_OPTED_OUT, duplicate, at, told));
    }
    facts
}

fn fact(
    lead: &Lead,
    kind: EventType,
    duplicate: LeadId,
    at: Timestamp,
    data: serde_json::Value,
) -> Observation {
    let account: AccountId = lead.account_id;
    let parts: [&[u8]; 4] = [
        b"lead merged",
        account.as_bytes(),
        duplicate.as_bytes(),
        kind.as_str().as_bytes(),
    ];
    Observation {
        // A duplicate is merged once: no time in its ids.
        id: ObservationId::derived(Timestamp::default(), &parts),
        account_id: account,
        kind,
        at,
        lead_id: Some(lead.id),
        call_id: None,
        caused_by: None,
        trace: None,
        data,
    }
}

fn add<T: PartialEq>(known: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for one in more {
        if !known.contains(&one) {
            known.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::consent::OptOutChange;

    fn lead(number: u8) -> Lead {
        Lead::nameless(
            LeadId::from_bytes([number; 16]),
            AccountId::from_bytes([9; 16]),
            Timestamp::from_unix_millis(number.into()),
        )
    }

    fn phone(last: u8) -> PhoneNumber {
        format!("+1415555010{last}").parse().expect("a number")
    }

    #[test]
    fn what_is_lacking_is_taken_over_and_what_is_there_stays() {
        let (mut kept, mut duplicate) = (lead(1), lead(2));
        kept.email = Some("Ann@Example.com".to_owned());
        kept.fields.insert("plan".to_owned(), json!("gold"));
        duplicate.name = "Ann Lee".to_owned();
        duplicate.phone = Some(phone(2));
        duplicate.email = Some("ann@example.com".to_owned());
        duplicate.timezone = Some("America/New_York".to_owned());
        duplicate.fields.insert("plan".to_owned(), json!("lead"));
        duplicate.fields.insert("city".to_owned(), json!("Rome"));
        kept.absorb(&duplicate).expect("there is room");
        assert_eq!(
            (kept.name.as_str(), kept.phone.clone()),
            ("Ann Lee", Some(phone(2)))
        );
        assert_eq!(kept.email.as_deref(), Some("Ann@Example.com"));
        assert_eq!(kept.timezone.as_deref(), Some("America/New_York"));
        assert_eq!(kept.fields["plan"], "gold");
        assert_eq!(kept.fields["city"], "Rome");
        assert_eq!(kept.ids(), [kept.id, duplicate.id]);
        assert!(kept.merged.phones.is_empty() && kept.merged.emails.is_empty());
        let once = kept.clone();
        kept.absorb(&duplicate).expect("there is room");
        assert_eq!(kept, once, "a repeat changes nothing");
    }

    #[test]
    fn another_number_and_address_are_kept_beside_the_own_ones_and_merges_add_up() {
        let (mut kept, mut second, mut third) = (lead(1), lead(2), lead(3));
        (kept.phone, kept.email) = (Some(phone(1)), Some("a@x.example".to_owned()));
        (second.phone, second.email) = (Some(phone(2)), Some("b@x.example".to_owned()));
        third.phone = Some(phone(3));
        second.absorb(&third).expect("there is room");
        kept.absorb(&second).expect("there is room");
        assert_eq!(kept.ids(), [kept.id, second.id, third.id]);
        assert_eq!(kept.phones().cloned().collect::<Vec<_>>(), [1, 2, 3].map(phone));
        assert_eq!(kept.merged.emails, ["b@x.example"]);
        let shown = serde_json::to_value(&kept).expect("JSON");
        assert_eq!(shown["merged"]["ids"].as_array().map(Vec::len), Some(2));
        assert!(
            serde_json::to_value(lead(1))
                .expect("JSON")
                .get("merged")
                .is_none()
        );
    }

    #[test]
    fn of_two_opt_outs_and_consents_the_stricter_stays() {
        let (mut kept, mut duplicate) = (lead(1), lead(2));
        kept.phone = Some(phone(1));
        kept.change_consent(&ConsentChange {
            opt_out: Vec::new(),
            consent: vec![(ContactChannel::Call, Standing::Granted)],
        });
        duplicate.phone = Some(phone(2));
        duplicate.change_consent(&ConsentChange {
            opt_out: vec![OptOutChange::Add([ContactChannel::Sms].into())],
            consent: vec![
                (ContactChannel::Call, Standing::Denied),
                (ContactChannel::Sms, Standing::Granted),
                (ContactChannel::Email, Standing::Granted),
            ],
        });
        kept.absorb(&duplicate).expect("there is room");
        assert!(kept.opt_out().covers(Some(ContactChannel::Sms)));
        assert!(!kept.opt_out().covers(Some(ContactChannel::Call)));
        assert_eq!(kept.consent.call, Standing::Denied);
        assert_eq!(
            kept.consent.sms,
            Standing::Unknown,
            "it was given for another number"
        );
        assert_eq!(
            kept.consent.email,
            Standing::Granted,
            "there was no other address"
        );
        let everything = ConsentChange {
            opt_out: vec![OptOutChange::Everything],
            consent: Vec::new(),
        };
        let mut third = lead(3);
        third.change_consent(&everything);
        third.absorb(&kept).expect("there is room");
        assert!(third.opted_out && third.opted_out_of.is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_a_lead_takes_in() {
        let (mut kept, mut duplicate) = (lead(1), lead(2));
        assert_eq!(kept.clone().absorb(&kept), Err(MergeRefusal::Itself));
        for number in 0..60 {
            kept.fields.insert(format!("a{number}"), json!(1));
            duplicate.fields.insert(format!("b{number}"), json!(1));
        }
        let before = kept.clone();
        assert_eq!(kept.absorb(&duplicate), Err(MergeRefusal::TooManyFields));
        duplicate.fields.clear();
        duplicate.merged.ids = (0..100).map(|_| LeadId::fresh()).collect();
        assert_eq!(kept.absorb(&duplicate), Err(MergeRefusal::TooMany));
        assert_eq!(kept, before);
    }

    #[test]
    fn a_merge_is_told_under_the_same_ids_again_and_an_opt_out_when_it_is_news() {
        let (before, mut duplicate) = (lead(1), lead(2));
        duplicate.change_consent(&ConsentChange::stop());
        let mut after = before.clone();
        after.absorb(&duplicate).expect("there is room");
        let at = Timestamp::from_unix_millis(5);
        let facts = merge_facts(&before, &after, duplicate.id, at);
        let kinds: Vec<&str> = facts.iter().map(|fact| fact.kind.as_str()).collect();
        assert_eq!(kinds, ["lead.updated", "lead.opted_out"]);
        assert_eq!(facts, merge_facts(&before, &after, duplicate.id, at));
        assert_eq!(merge_facts(&after, &after, duplicate.id, at).len(), 1);
    }
}
