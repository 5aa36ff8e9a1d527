//! Keeps what Twilio says about a call.
//!
//! In: facts from the doors. Out: facts in the store. Two ways: wait until it is kept, or answer in time and keep on trying.

use std::time::Duration;

use tokio::time::timeout;

use super::request::account;
use crate::{
    actors::CallReport,
    domain::{call::CallFact, ids::CallSid},
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    store::away,
};

/// Twilio waits for 15 s, then delivers again: it is told before.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// First pause between two attempts; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Attempts in the background: about three minutes, longer than any store is away without the server being restarted.
const ATTEMPTS_MAX: u32 = 40;

/// One fact that is not in the store yet.
#[derive(Debug, Clone)]
pub struct Unkept {
    pub call: CallSid,
    pub dedupe_key: String,
    pub fact: CallFact,
}

/// Returns once `fact` is on disk.
///
/// # Errors
/// 503 when the store does not take it: Twilio delivers the callback again.
pub async fn keep(context: &Context, unkept: Unkept) -> ApiResult<()> {
    let account_id = account(context).await?;
    let Unkept {
        call: sid,
        dedupe_key,
        fact,
    } = unkept;
    let report = CallReport {
        account_id,
        sid,
        dedupe_key,
        fact,
    };
    let calls = context.calls.clone();
    // It goes on by itself when the answer cannot wait any longer.
    let keeping = tokio::spawn(async move { calls.report(report).await });
    match timeout(ANSWER_MAX, keeping).await {
        Ok(Ok(kept)) => Ok(kept.map(drop)?),
        Ok(Err(broke_off)) => Err(ApiError::Unavailable(Box::new(broke_off))),
        Err(elapsed) => Err(ApiError::Unavailable(Box::new(elapsed))),
    }
}

/// Returns once `fact` is on disk or `patience` is over; then it is kept in the background, however long that takes.
///
/// For answers that a caller waits for with the receiver at the ear.
pub async fn keep_within(context: &Context, unkept: Unkept, patience: Duration) {
    let context = context.clone();
    let call = unkept.call.clone();
    let keeping = tokio::spawn(async move { keep_on(&context, &unkept).await });
    match timeout(patience, keeping).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::error!(%error, %call, "keeping a fact about a call broke off"),
        Err(_) => {
            metrics::counter!("patchcord_twilio_answered_before_kept_total").increment(1);
            tracing::warn!(%call, "the store is slow: a call was answered before its record was kept");
        }
    }
}

async fn keep_on(context: &Context, unkept: &Unkept) {
    let mut pause = PAUSE_FIRST;
    for attempt in 1..=ATTEMPTS_MAX {
        let error = match keep(context, unkept.clone()).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if is_final(&error) {
            tracing::error!(%error, call = %unkept.call, "a fact about a call could not be kept");
            return;
        }
        tracing::warn!(%error, attempt, call = %unkept.call, "a fact about a call is kept later");
        away::pause(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    metrics::counter!("patchcord_twilio_facts_lost_total").increment(1);
    tracing::error!(call = %unkept.call, "a fact about a call was given up");
}

/// Whether trying again cannot help.
const fn is_final(error: &ApiError) -> bool {
    !matches!(error, ApiError::Busy | ApiError::Unavailable(_))
}
