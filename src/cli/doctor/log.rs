//! The audit logs of all accounts: that nothing in them was changed or taken out.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::{
    cli::storage::Beside,
    config::StoreSettings,
    domain::{audit::Chain, hex::hex},
    store::{Store, StoreResult},
};

/// How long following whole logs may take; of those that are left then, the newest entries are looked at.
const WHOLE_WITHIN: Duration = Duration::from_secs(10);
/// Entries that are looked at then.
const NEWEST: u32 = 2_000;
/// How long those may take.
const NEWEST_WITHIN: Duration = Duration::from_secs(20);
/// Accounts whose logs are followed.
const ACCOUNTS_MAX: u32 = 10_000;

/// Follows the log of every account. Of a store that is not ready to be served, nothing is opened: that would change it.
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
    let mut accounts = store.accounts.account_ids(ACCOUNTS_MAX + 1).await?;
    if accounts.is_empty() {
        return Ok(Finding::Skipped("there is no account yet".to_owned()));
    }
    let is_cut = accounts.len() > usize::try_from(ACCOUNTS_MAX).unwrap_or(usize::MAX);
    if is_cut {
        accounts.pop();
    }
    let whole_until = Instant::now() + WHOLE_WITHIN;
    let newest_until = whole_until + NEWEST_WITHIN;
    let (mut entries, mut in_part, mut head) = (0, 0, Chain::default().head);
    for account in &accounts {
        let followed = match timeout_at(whole_until, store.audit.verify(*account)).await {
            Ok(followed) => followed?,
            Err(_) => match timeout_at(newest_until, store.audit.verify_newest(*account, NEWEST)).await {
                Ok(followed) => {
                    in_part += 1;
                    followed?
                }
                Err(_) => return Ok(too_slow()),
            },
        };
        let (chain, fault) = followed;
        entries += chain.entries;
        head = chain.head;
        if let Some(fault) = fault {
            return Ok(Finding::failed(
                format!("somebody has changed the log of {account}: {fault}"),
                "compare it with the last backup, and find out who can write to the store",
            ));
        }
    }
    let (of, head) = match accounts.len() {
        1 => (String::new(), format!("; head {}", hex(&head))),
        count => (format!(" of {count} accounts"), String::new()),
    };
    let mut said = if in_part == 0 {
        format!("{entries} entries{of}, every one as it was written{head}")
    } else {
        format!(
            "{entries} entries{of}; of {in_part} logs the newest {NEWEST} as they were written: `GET /api/audit/verify` follows all of them{head}"
        )
    };
    if is_cut {
        said += "; there are more accounts, whose logs were not followed";
    }
    Ok(Finding::Good(said))
}

fn too_slow() -> Finding {
    Finding::failed(
        format!(
            "the logs could not be followed within {:?}",
            WHOLE_WITHIN + NEWEST_WITHIN
        ),
        "see to the store, or follow them with `GET /api/audit/verify`",
    )
}
