//! Leads.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreResult};
use crate::domain::{
    consent::{ConsentChange, OptOut},
    erasure::opt_out_key,
    ids::{AccountId, LeadId},
    lead::{EditRefusal, KeyedEdit, Lead, LeadEdited, MergeRefusal},
    observation::Observation,
    phone::PhoneNumber,
    time::Timestamp,
};

/// Leads of a group that are shown.
pub const SAME_EMAIL_MAX: u16 = 20;

/// Leads of an account that share an e-mail address.
#[derive(Debug, Clone, PartialEq)]
pub struct SameEmail {
    /// Folded.
    pub email: String,
    /// The oldest first, at most [`SAME_EMAIL_MAX`].
    pub leads: Vec<Lead>,
    /// How many there are beyond.
    pub more: u64,
}

impl SameEmail {
    /// The group of `count` leads of which these are the oldest.
    #[must_use]
    pub fn new(email: String, leads: Vec<Lead>, count: u64) -> Self {
        let shown = u64::try_from(leads.len()).unwrap_or(u64::MAX);
        Self {
            email,
            leads,
            more: count.saturating_sub(shown),
        }
    }
}

/// An opt-out belongs to the number it came from as well as to the lead: when the lead is deleted, or its number changed, the number
/// keeps it, and whichever lead has the number next takes it on.
///
/// A duplicate that was merged into a lead is found as that lead, by its id, its number and its address: [`get`](LeadStore::get),
/// [`change_consent`](LeadStore::change_consent), [`edit`](LeadStore::edit) and the look-ups by phone and e-mail follow it. `delete`
/// means the lead with this very id.
#[async_trait]
pub trait LeadStore: Send + Sync {
    /// Keeps a lead of whom nothing is told. `Taken` when the phone number belongs to another lead of the account.
    async fn create(&self, lead: Lead) -> StoreResult<()> {
        self.introduce(lead, Vec::new()).await
    }
    /// The same, and with the lead the facts that tell of it: either both are there or neither.
    async fn introduce(&self, lead: Lead, facts: Vec<Observation>) -> StoreResult<()>;
    /// Returns the lead with `lead.phone`, creating `lead` when there is none; the flag says whether it was created.
    async fn find_or_create_by_phone(&self, lead: Lead) -> StoreResult<(Lead, bool)>;
    /// Changes opt-out and consent of what is stored. Returns the lead after it and whether anything is different.
    async fn change_consent(
        &self,
        account_id: AccountId,
        id: LeadId,
        change: ConsentChange,
        at: Timestamp,
    ) -> StoreResult<(Lead, bool)>;
    async fn delete(&self, account_id: AccountId, id: LeadId) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: LeadId) -> StoreResult<Lead>;
    async fn by_phone(&self, account_id: AccountId, phone: &PhoneNumber) -> StoreResult<Option<Lead>>;
    /// What the last lead with this number had opted out of, for as long as no lead has the number.
    async fn opt_out_of(&self, account_id: AccountId, phone: &PhoneNumber) -> StoreResult<OptOut> {
        let mut opt_out = self
            .opt_out_under(account_id, &opt_out_key(account_id, phone))
            .await?;
        opt_out.join(&self.opt_out_under(account_id, phone.as_str()).await?);
        Ok(opt_out)
    }
    /// What is kept under a number's hash, or under the number itself, as the first versions kept it.
    async fn opt_out_under(&self, account_id: AccountId, key: &str) -> StoreResult<OptOut>;
    async fn by_email(&self, account_id: AccountId, email: &str) -> StoreResult<Option<Lead>>;
    /// Makes an edit of what is stored at that moment, keeps the facts that follow from it and notes its key, in one write: of two edits at
    /// once both count, and no fact of a change that was made is lost. A key that is noted already changes nothing and gives the first
    /// result again. A refusal changes nothing and notes nothing.
    async fn edit(&self, edit: KeyedEdit) -> StoreResult<Result<LeadEdited, EditRefusal>>;
    /// Lets `kept` take over what `duplicate` has, and puts it in the duplicate's place; the facts that follow are kept with it. The
    /// same again changes nothing. `Missing` when either is gone and the duplicate was not merged into `kept`.
    async fn merge(
        &self,
        account_id: AccountId,
        kept: LeadId,
        duplicate: LeadId,
        at: Timestamp,
    ) -> StoreResult<Result<Lead, MergeRefusal>>;
    /// Groups of leads with one e-mail address, in the order of the newest lead of each. A page may hold less than was asked for,
    /// even nothing, and still have one behind it.
    async fn same_email(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<SameEmail>>;
    /// The account's leads after `after` (creation and id), oldest first, at most `limit`: how filters walk through all.
    async fn walk(
        &self,
        account_id: AccountId,
        after: Option<(Timestamp, LeadId)>,
        limit: u32,
    ) -> StoreResult<Vec<Lead>>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Lead>>;
}
