//! The audit log of an account: who changed what, each entry tied to the one before it by a hash.
//!
//! What an entry says is fixed for good: `hash` covers it and the hash before it, so nothing in between can be changed or taken
//! out without every later hash being wrong. What a thing was before and after is kept beside it and covered by a salted digest
//! only: it holds personal data, and can be erased while the chain still holds.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    hex::hex,
    ids::{AccountId, KeyId, UserId},
    time::Timestamp,
};

/// Tells these hashes from every other.
const PURPOSE: &[u8] = b"patchcord audit 1\n";
/// What stands in place of the hash before the first entry.
pub const BEGINNING: ChainHash = [0; 32];

/// SHA-256 over an entry and the hash before it.
pub type ChainHash = [u8; 32];

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person who is signed in.
    User { user_id: UserId },
    /// A program, with a key that the person made.
    Key { key_id: KeyId, user_id: UserId },
    /// Whoever runs the server, on its command line.
    Operator,
    /// The server by itself: what the account's rules ask for.
    System,
}

impl Actor {
    /// The person, where there is one.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User { user_id } | Self::Key { user_id, .. } => Some(*user_id),
            Self::Operator | Self::System => None,
        }
    }
}

/// Something that was done, not in the log yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    pub account_id: AccountId,
    pub at: Timestamp,
    pub actor: Actor,
    /// The operation's id in the API description, or a command.
    pub action: String,
    /// What was done something to, by its id.
    pub subject: Option<String>,
    /// Every other id that before and after name: who is erased is erased there too.
    pub about: Vec<String>,
    /// The request's id, as in the log.
    pub request_id: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
}

impl Deed {
    /// What patchcord does by itself.
    #[must_use]
    pub fn of_the_system(account_id: AccountId, at: Timestamp, action: &str, subject: String) -> Self {
        Self {
            account_id,
            at,
            actor: Actor::System,
            action: action.to_owned(),
            subject: Some(subject),
            about: Vec::new(),
            request_id: None,
            address: None,
        }
    }

    /// Whether it names one of `ids` anywhere.
    #[must_use]
    pub fn names(&self, ids: &[String]) -> bool {
        self.subject
            .iter()
            .chain(&self.about)
            .any(|named| ids.contains(named))
    }
}

/// The thing before and after, secrets left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Drawn at random: without it nobody can try out what an erased entry said.
    pub salt: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Details {
    /// How many of what. Counts are nobody's: there is nothing to guess, and no salt.
    #[must_use]
    pub const fn of_counts(counts: Value) -> Self {
        Self {
            salt: String::new(),
            before: None,
            after: Some(counts),
        }
    }
}

/// An entry as it is kept. `said` is the JSON that `hash` covers: it is never written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub account_id: AccountId,
    /// Counts the account's entries from 1.
    pub seq: u64,
    pub at: Timestamp,
    pub said: String,
    pub hash: ChainHash,
    /// JSON of [`Details`]; `None` when it was erased.
    pub details: Option<String>,
}

/// What `said` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub seq: u64,
    #[serde(flatten)]
    pub deed: Deed,
    /// SHA-256 of the details in hex.
    pub details_sha256: String,
}

/// Why the log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    #[error("entry {0} is missing")]
    Missing(u64),
    #[error("entry {0} was changed, or the one before it")]
    Changed(u64),
    #[error("what entry {0} says was before and after was changed")]
    DetailsChanged(u64),
}

impl AuditRow {
    /// The entry after `last`, the newest of the account.
    ///
    /// # Errors
    /// When something in it cannot be JSON.
    pub fn after(last: Option<&Self>, deed: Deed, details: &Details) -> serde_json::Result<Self> {
        let details = serde_json::to_string(details)?;
        let seq = last.map_or(0, |last| last.seq) + 1;
        let (account_id, at) = (deed.account_id, deed.at);
        let said = serde_json::to_string(&Said {
            seq,
            deed,
            details_sha256: digest(&details),
        })?;
        let previous = last.map_or(BEGINNING, |last| last.hash);
        Ok(Self {
            account_id,
            seq,
            at,
            hash: link(&previous, &said),
            said,
            details: Some(details),
        })
    }

    /// What the entry says.
    ///
    /// # Errors
    /// When it is no entry of ours.
    pub fn read(&self) -> serde_json::Result<Said> {
        serde_json::from_str(&self.said)
    }

    /// Whether the entry names `id` anywhere.
    #[must_use]
    pub fn is_about(&self, id: &str) -> bool {
        self.read().is_ok_and(|said| said.deed.names(&[id.to_owned()]))
    }
}

/// Follows a log from its beginning, entry by entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub entries: u64,
    /// The newest hash: noted elsewhere, it also shows that nothing was cut off at the end.
    pub head: ChainHash,
    /// Entries whose details were erased.
    pub erased: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            entries: 0,
            head: BEGINNING,
            erased: 0,
        }
    }
}

impl Chain {
    /// A chain that goes on behind this entry, which is taken as it is.
    #[must_use]
    pub const fn behind(row: &AuditRow) -> Self {
        Self {
            entries: row.seq,
            head: row.hash,
            erased: 0,
        }
    }

    /// Takes the next entry in.
    ///
    /// # Errors
    /// [`ChainFault`] when it is not what was written there.
    pub fn follow(&mut self, row: &AuditRow) -> Result<(), ChainFault> {
        let seq = self.entries + 1;
        if row.seq != seq {
            return Err(ChainFault::Missing(seq));
        }
        let said = row.read().map_err(|_not_ours| ChainFault::Changed(seq))?;
        let is_whole = said.seq == seq
            && said.deed.account_id == row.account_id
            && said.deed.at == row.at
            && link(&self.head, &row.said) == row.hash;
        if !is_whole {
            return Err(ChainFault::Changed(seq));
        }
        match &row.details {
            Some(details) if digest(details) != said.details_sha256 => {
                return Err(ChainFault::DetailsChanged(seq));
            }
            Some(_) => (),
            None => self.erased += 1,
        }
        self.entries = seq;
        self.head = row.hash;
        Ok(())
    }
}

fn link(previous: &ChainHash, said: &str) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(PURPOSE);
    hash.update(previous);
    hash.update(said.as_bytes());
    hash.finalize().into()
}

fn digest(details: &str) -> String {
    hex(&Sha256::digest(details.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(entries: u64) -> Vec<AuditRow> {
        let mut rows: Vec<AuditRow> = Vec::new();
        for number in 0..entries {
            let deed = Deed {
                account_id: AccountId::from_bytes([1; 16]),
                at: Timestamp::from_unix_millis(number),
                actor: Actor::User {
                    user_id: UserId::from_bytes([2; 16]),
                },
                action: "updateLead".to_owned(),
                subject: Some(format!("lead_{number}")),
                about: vec!["task_1".to_owned()],
                request_id: None,
                address: None,
            };
            let details = Details {
                salt: "s".to_owned(),
                before: None,
                after: Some(json!({"name": number})),
            };
            rows.push(AuditRow::after(rows.last(), deed, &details).expect("JSON"));
        }
        rows
    }

    fn followed(rows: &[AuditRow]) -> Result<Chain, ChainFault> {
        let mut chain = Chain::default();
        rows.iter().try_for_each(|row| chain.follow(row)).map(|()| chain)
    }

    #[test]
    fn a_log_is_followed_to_its_head() {
        let rows = log(5);
        let chain = followed(&rows).expect("whole");
        assert_eq!((chain.entries, chain.head, chain.erased), (5, rows[4].hash, 0));
        assert!(rows[3].is_about("lead_3") && rows[3].is_about("task_1") && !rows[3].is_about("lead_4"));
    }

    #[test]
    fn details_can_be_erased_and_not_changed() {
        let mut rows = log(3);
        rows[1].details = None;
        assert_eq!(followed(&rows).expect("whole").erased, 1);
        rows[1].details = Some("{\"salt\":\"s\",\"before\":null,\"after\":null}".to_owned());
        assert_eq!(followed(&rows), Err(ChainFault::DetailsChanged(2)));
    }

    #[test]
    fn nothing_is_changed_swapped_or_taken_out_unnoticed() {
        let mut changed = log(4);
        changed[1].said = changed[1].said.replace("updateLead", "deleteLead");
        assert_eq!(followed(&changed), Err(ChainFault::Changed(2)));
        let mut rehashed = log(4);
        rehashed[1].said = rehashed[1].said.replace("updateLead", "deleteLead");
        let before = rehashed[0].hash;
        rehashed[1].hash = link(&before, &rehashed[1].said);
        assert_eq!(followed(&rehashed), Err(ChainFault::Changed(3)));
        let mut cut = log(4);
        cut.remove(2);
        assert_eq!(followed(&cut), Err(ChainFault::Missing(3)));
        let mut swapped = log(4);
        swapped.swap(1, 2);
        assert_eq!(followed(&swapped), Err(ChainFault::Missing(2)));
        let mut of_another = log(2);
        of_another[1].account_id = AccountId::from_bytes([9; 16]);
        assert_eq!(followed(&of_another), Err(ChainFault::Changed(2)));
    }
}
