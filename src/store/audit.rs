//! The audit log: appended to, read, and its details erased; nothing in it is ever changed.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Page, PageRequest, StoreError, StoreResult};
use crate::domain::{
    audit::{AuditRow, Chain, ChainFault, Deed, Details, Said},
    ids::{AccountId, UserId},
    time::Timestamp,
};

/// Entries that are read at once.
const CHUNK: u32 = 200;
/// Entries that one page looks through for those that are asked for; the next page goes on behind them.
const LOOKED_THROUGH_MAX: usize = 2_000;
const LIMIT_MAX: u32 = 200;
const LIMIT_DEFAULT: u32 = 50;
/// Tells these cursors from those of every other list.
const CURSOR_MARK: u8 = b'a';

/// Which entries are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub action: Option<String>,
    pub user_id: Option<UserId>,
    /// Ids, one of which the entry names anywhere; none: any entry.
    pub about: Vec<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    fn takes(&self, row: &AuditRow, said: &Said) -> bool {
        let deed = &said.deed;
        self.action.as_ref().is_none_or(|action| *action == deed.action)
            && self.user_id.is_none_or(|user| deed.actor.user() == Some(user))
            && (self.about.is_empty() || deed.names(&self.about))
            && self.since.is_none_or(|since| row.at >= since)
            && self.until.is_none_or(|until| row.at < until)
    }
}

/// The log of each account.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes the next entry. Of many at once each has a number of its own and the hash of the one before.
    async fn append(&self, deed: Deed, details: Details) -> StoreResult<AuditRow>;
    /// Entries below the number `below`, newest first.
    async fn before(&self, account_id: AccountId, below: u64, limit: u32) -> StoreResult<Vec<AuditRow>>;
    /// Entries above the number `above`, oldest first.
    async fn after(&self, account_id: AccountId, above: u64, limit: u32) -> StoreResult<Vec<AuditRow>>;
    /// Erases what the thing was before and after from these entries; the entries stay.
    async fn erase_details(&self, account_id: AccountId, entries: &[u64]) -> StoreResult<()>;
    /// Takes over an entry of another store as it is. One with its number stays.
    async fn adopt(&self, row: AuditRow) -> StoreResult<()>;
}

impl dyn AuditStore {
    /// One page of what the filter takes, newest first. A page may be short, even empty, and still have a next one.
    ///
    /// # Errors
    /// `BadCursor` for a cursor of another list; when the store does not answer.
    pub async fn page(
        &self,
        account_id: AccountId,
        filter: &AuditFilter,
        request: PageRequest,
    ) -> StoreResult<Page<AuditRow>> {
        let limit = match request.limit {
            0 => LIMIT_DEFAULT,
            asked => asked.min(LIMIT_MAX),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut below = match &request.cursor {
            Some(cursor) => decode(cursor).ok_or(StoreError::BadCursor)?,
            None => u64::MAX,
        };
        let (mut items, mut looked_through) = (Vec::new(), 0);
        while looked_through < LOOKED_THROUGH_MAX {
            let rows = self.before(account_id, below, CHUNK).await?;
            let is_end = rows.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
            for row in rows {
                below = row.seq;
                looked_through += 1;
                // What cannot be read is shown by the check of the chain.
                let is_wanted = row.read().is_ok_and(|said| filter.takes(&row, &said));
                if !is_wanted {
                    continue;
                }
                items.push(row);
                if items.len() == limit {
                    let next_cursor = (below > 1).then(|| encode(below));
                    return Ok(Page { items, next_cursor });
                }
            }
            if is_end {
                return Ok(Page {
                    items,
                    next_cursor: None,
                });
            }
        }
        Ok(Page {
            items,
            next_cursor: Some(encode(below)),
        })
    }

    /// Follows the account's log from its beginning. The fault is the first thing that is not as it was written.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn verify(&self, account_id: AccountId) -> StoreResult<(Chain, Option<ChainFault>)> {
        let mut chain = Chain::default();
        let fault = self.follow(account_id, &mut chain).await?;
        Ok((chain, fault))
    }

    /// Follows the newest entries of the account's log, at most so many.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn verify_newest(
        &self,
        account_id: AccountId,
        newest: u32,
    ) -> StoreResult<(Chain, Option<ChainFault>)> {
        let head = self.before(account_id, u64::MAX, 1).await?;
        let from = head
            .first()
            .map_or(0, |head| head.seq)
            .saturating_sub(newest.into());
        let mut chain = match from {
            0 => Chain::default(),
            from => match self.before(account_id, from + 1, 1).await?.first() {
                Some(row) => Chain::behind(row),
                None => return Ok((Chain::default(), Some(ChainFault::Missing(from)))),
            },
        };
        let fault = self.follow(account_id, &mut chain).await?;
        Ok((chain, fault))
    }

    async fn follow(&self, account_id: AccountId, chain: &mut Chain) -> StoreResult<Option<ChainFault>> {
        loop {
            let rows = self.after(account_id, chain.entries, CHUNK).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in &rows {
                if let Err(fault) = chain.follow(row) {
                    return Ok(Some(fault));
                }
            }
        }
    }

    /// Erases what entries that name `id` say of before and after. Returns how many there were.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn erase_about(&self, account_id: AccountId, id: &str) -> StoreResult<u64> {
        let (mut above, mut erased) = (0, 0);
        loop {
            let rows = self.after(account_id, above, CHUNK).await?;
            let Some(last) = rows.last() else {
                return Ok(erased);
            };
            above = last.seq;
            let named: Vec<u64> = rows
                .iter()
                .filter(|row| row.details.is_some() && row.is_about(id))
                .map(|row| row.seq)
                .collect();
            if !named.is_empty() {
                self.erase_details(account_id, &named).await?;
                erased += u64::try_from(named.len()).unwrap_or(u64::MAX);
            }
        }
    }
}

fn encode(seq: u64) -> String {
    let mut bytes = [CURSOR_MARK; 9];
    bytes[1..].copy_from_slice(&seq.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(cursor: &str) -> Option<u64> {
    let bytes: [u8; 9] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let seq = bytes[1..].try_into().ok()?;
    (bytes[0] == CURSOR_MARK).then(|| u64::from_be_bytes(seq))
}
