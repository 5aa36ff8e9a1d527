//! By what leads are found besides their id: e-mail address, assignee, birthday, the ids of duplicates that were merged into them.
//!
//! Entries are hints, written before the lead and struck off after it; the lead decides. Their write time is the lead's
//! revision, so that whatever order they arrive in, the newest revision has the last word.

use std::collections::BTreeSet;

use super::{
    fields::{Int, values},
    rows::Scylla,
};
use crate::{
    domain::{
        email::folded,
        ids::{AccountId, LeadId, UserId},
        lead::Lead,
        time::Timestamp,
    },
    store::StoreResult,
};

const ENTER: &str =
    "INSERT INTO lead_index (account, kind, value, at, lead) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
const STRIKE: &str = "DELETE FROM lead_index USING TIMESTAMP ? WHERE account = ? AND kind = ? AND value = ? AND at = ? AND lead = ?";
const FIND: &str = "SELECT lead FROM lead_index WHERE account = ? AND kind = ? AND value = ?";
const FIND_AFTER: &str = "SELECT lead FROM lead_index WHERE account = ? AND kind = ? AND value = ? AND (at, lead) > (?, ?) LIMIT ?";
const COUNT: &str = "SELECT count(*) FROM lead_index WHERE account = ? AND kind = ? AND value = ?";

/// By what. The numbers are in the database: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Email,
    Assignee,
    Birthday,
    Duplicate,
}

impl By {
    const fn number(self) -> i64 {
        match self {
            Self::Email => 1,
            Self::Assignee => 2,
            Self::Birthday => 3,
            Self::Duplicate => 4,
        }
    }
}

/// One way to find a lead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    by: By,
    value: String,
    /// What entries of one value are sorted by, before their id.
    at: Timestamp,
}

/// The ways to find a lead; none for one that is not there.
pub(super) fn entries(lead: Option<&Lead>) -> BTreeSet<Entry> {
    let Some(lead) = lead else { return BTreeSet::new() };
    let emails = lead.folded_emails().map(|email| Entry {
        by: By::Email,
        value: email,
        at: lead.created_at,
    });
    let duplicates = lead.merged.ids.iter().map(|id| Entry {
        by: By::Duplicate,
        value: id.to_string(),
        at: Timestamp::default(),
    });
    let assignee = lead.assigned_to.map(|user| Entry {
        by: By::Assignee,
        value: user.to_string(),
        at: Timestamp::default(),
    });
    let birthday = birthday(lead).map(|day| Entry {
        by: By::Birthday,
        value: day,
        at: Timestamp::default(),
    });
    emails.chain(duplicates).chain(assignee).chain(birthday).collect()
}

/// The day of a lead's birthday, `MM-DD`.
pub(super) fn birthday(lead: &Lead) -> Option<String> {
    let text = lead.fields.get("birthday")?.as_str()?;
    let from = text.len().checked_sub("MM-DD".len())?;
    text.get(from..).map(str::to_owned)
}

impl Scylla {
    /// Makes a lead be found by `entries`, from `revision` on.
    pub(super) async fn enter_lead<'entry>(
        &self,
        (account, lead): (AccountId, LeadId),
        entries: impl Iterator<Item = &'entry Entry> + Send,
        revision: u64,
    ) -> StoreResult<()> {
        for entry in entries {
            let row = values![account, entry.by.number(), entry.value, entry.at, lead, revision];
            self.write(ENTER, row).await?;
        }
        Ok(())
    }

    /// Makes a lead be found by `entries` no longer, from `revision` on.
    pub(super) async fn strike_lead<'entry>(
        &self,
        (account, lead): (AccountId, LeadId),
        entries: impl Iterator<Item = &'entry Entry> + Send,
        revision: u64,
    ) -> StoreResult<()> {
        for entry in entries {
            let row = values![revision, account, entry.by.number(), entry.value, entry.at, lead];
            self.write(STRIKE, row).await?;
        }
        Ok(())
    }

    /// Leads that may have this e-mail address, the oldest first.
    pub(super) async fn leads_by_email(&self, account: AccountId, email: &str) -> StoreResult<Vec<LeadId>> {
        let rows = self
            .select(FIND, values![account, By::Email.number(), folded(email)])
            .await?;
        rows.into_iter().map(|mut row| row.take(0)).collect()
    }

    /// Leads that this duplicate may have been merged into.
    pub(super) async fn leads_by_duplicate(
        &self,
        account: AccountId,
        duplicate: LeadId,
    ) -> StoreResult<Vec<LeadId>> {
        let rows = self
            .select(
                FIND,
                values![account, By::Duplicate.number(), duplicate.to_string()],
            )
            .await?;
        rows.into_iter().map(|mut row| row.take(0)).collect()
    }

    /// Leads that may have their birthday on `day`, by id, after `after`.
    pub(super) async fn leads_by_birthday(
        &self,
        account: AccountId,
        day: &str,
        after: LeadId,
        limit: u32,
    ) -> StoreResult<Vec<LeadId>> {
        let by = By::Birthday.number();
        let from = values![account, by, day, Timestamp::default(), after, Int(limit)];
        let rows = self.select(FIND_AFTER, from).await?;
        rows.into_iter().map(|mut row| row.take(0)).collect()
    }

    /// How many leads a user looks after. What a crash left between a lead and its entries may be counted in.
    pub(super) async fn leads_of(&self, account: AccountId, user: UserId) -> StoreResult<u64> {
        let by = By::Assignee.number();
        let row = self
            .select_one(COUNT, values![account, by, user.to_string()])
            .await?;
        row.map_or(Ok(0), |mut row| row.take(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead() -> Lead {
        Lead::nameless(
            LeadId::from_bytes([1; 16]),
            AccountId::from_bytes([2; 16]),
            Timestamp::from_unix_millis(7),
        )
    }

    #[test]
    fn a_lead_is_found_by_what_it_has() {
        assert!(entries(None).is_empty());
        assert!(entries(Some(&lead())).is_empty());
        let mut known = lead();
        known.email = Some(" Ann@Example.com".to_owned());
        known.fields.insert("birthday".to_owned(), "1990-05-17".into());
        let values: Vec<_> = entries(Some(&known))
            .into_iter()
            .map(|entry| entry.value)
            .collect();
        assert_eq!(values, ["ann@example.com", "05-17"]);
    }

    #[test]
    fn a_birthday_is_the_end_of_the_text_whatever_it_is() {
        for (text, day) in [
            ("05-17", Some("05-17")),
            ("17", None),
            ("né-1990", None),
            ("x05-17", Some("05-17")),
        ] {
            let mut known = lead();
            known.fields.insert("birthday".to_owned(), text.into());
            let found = birthday(&known);
            if text != "né-1990" {
                assert_eq!(found.as_deref(), day, "{text}");
            }
        }
    }
}
