//! The audit log: that nothing in it was changed or taken out.

use std::time::Duration;

use tokio::time::timeout;

use super::Finding;
use crate::{
    cli::storage::Beside,
    config::StoreSettings,
    domain::{
        audit::{Chain, ChainFault},
        hex::hex,
    },
    store::{Store, StoreResult},
};

/// How long the whole log may take; of one that takes longer, the newest entries are looked at.
const WHOLE_WITHIN: Duration = Duration::from_secs(10);
/// Entries that are looked at then.
const NEWEST: u32 = 2_000;
/// How long those may take.
const NEWEST_WITHIN: Duration = Duration::from_secs(20);

/// Follows the log of the first account. Of a store that is not ready to be served, nothing is opened: that would change it.
pub(super) async fn audit(settings: &StoreSettings, is_ready: bool) -> Finding {
    if !is_ready {
        return Finding::Skipped("the store is not ready to be read".to_owned());
    }
    let beside = match Beside::open(settings).await {
        Ok(beside) => beside,
        Err(error) => return failed(&format!("{error:#}")),
    };
    let finding = match look(&beside.store).await {
        Ok(finding) => finding,
        Err(error) => failed(&format!("{:#}", anyhow::Error::from(error))),
    };
    match beside.close().await {
        Ok(()) => finding,
        Err(error) => failed(&format!("{error:#}")),
    }
}

fn failed(said: &str) -> Finding {
    Finding::failed(
        format!("the log cannot be read: {said}"),
        "see to the store, then run it again",
    )
}

async fn look(store: &Store) -> StoreResult<Finding> {
    let Some(account) = store.accounts.first_account().await? else {
        return Ok(Finding::Skipped("there is no account yet".to_owned()));
    };
    if let Ok(verified) = timeout(WHOLE_WITHIN, store.audit.verify(account.id)).await {
        let (chain, fault) = verified?;
        return Ok(judged(&chain, fault, "every one as it was written"));
    }
    match timeout(NEWEST_WITHIN, store.audit.verify_newest(account.id, NEWEST)).await {
        Ok(verified) => {
            let (chain, fault) = verified?;
            let said = format!(
                "the newest {NEWEST} as they were written; `GET /api/audit/verify` follows all of them"
            );
            Ok(judged(&chain, fault, &said))
        }
        Err(_) => Ok(Finding::failed(
            format!("the log could not be followed within {NEWEST_WITHIN:?}"),
            "see to the store, or follow it with `GET /api/audit/verify`",
        )),
    }
}

fn judged(chain: &Chain, fault: Option<ChainFault>, said: &str) -> Finding {
    match fault {
        None => Finding::Good(format!(
            "{} entries, {said}; head {}",
            chain.entries,
            hex(&chain.head)
        )),
        Some(fault) => Finding::failed(
            format!("somebody has changed the log: {fault}"),
            "compare it with the last backup, and find out who can write to the store",
        ),
    }
}
