//! What workflows watch a call for: words that are said, and that nobody says anything.
//!
//! In: final utterances, and each sign that somebody speaks. Out: `call.keyword` and `call.silence`. Part of the call's actor.

use std::{collections::BTreeMap, time::Duration};

use super::{CallActor, CallKey, CallMsg, CallState, Loaded};
use crate::{
    actors::{RunError, patience::until_done},
    analysis::keywords::{self, Keyword, KeywordHit},
    domain::{observation::EventType, transcript::Utterance},
    store::StoreResult,
    workflows::trigger,
};

/// How long nobody says a word before that is a fact.
pub(in crate::actors) const SILENCE: Duration = Duration::from_secs(20);

impl CallActor {
    /// Tells of the words that some workflow watches for.
    pub(super) async fn take_keywords(
        &self,
        key: CallKey,
        loaded: &Loaded,
        utterance: &Utterance,
    ) -> StoreResult<()> {
        let kind = EventType::CALL_KEYWORD;
        let workflows = &self.kind.store.workflows;
        let rows = until_done(|| workflows.triggered_by(key.0, kind.as_str())).await?;
        let mut hits: BTreeMap<String, KeywordHit> = BTreeMap::new();
        for row in &rows {
            let read = async || match self.kind.plans.get(row.id, row.published).await {
                Err(RunError::Store(error)) if error.is_passing() => Err(error),
                read => Ok(read),
            };
            let plan = match until_done(read).await? {
                Ok(plan) => plan,
                Err(error) => {
                    // One workflow that cannot be read must not keep the call from being heard.
                    tracing::error!(workflow_id = %row.id, %error, "a workflow's keywords cannot be read");
                    continue;
                }
            };
            let Some(watch) = trigger::watch_of(&plan.definition().trigger) else {
                continue;
            };
            if !watch.is_about(utterance.speaker.as_str()) {
                continue;
            }
            let words: Vec<Keyword> = watch
                .keywords
                .iter()
                .filter_map(|word| Keyword::parse(word))
                .collect();
            for hit in keywords::find(&utterance.text, &words) {
                hits.entry(hit.keyword.to_lowercase()).or_insert(hit);
            }
        }
        let news = self.news(key);
        for hit in hits.values() {
            news.keyword_said(&loaded.call, utterance, hit).await?;
        }
        Ok(())
    }

    /// Somebody speaks, up to `end_ms` so far: the wait for silence begins again.
    pub(super) fn words_until(state: &CallState, loaded: &mut Loaded, end_ms: u64) {
        loaded.words_until_ms = loaded.words_until_ms.max(end_ms);
        let (desk, key, since_ms) = (state.desk.clone(), state.key, loaded.words_until_ms);
        let wait = tokio::spawn(async move {
            tokio::time::sleep(SILENCE).await;
            desk.send(key, CallMsg::Quiet { since_ms });
        });
        if let Some(earlier) = loaded.quiet.replace(wait) {
            earlier.abort();
        }
    }

    /// Nobody has said a word since `since_ms`, as far as the one who waited knows.
    pub(super) async fn take_quiet(&self, key: CallKey, loaded: &Loaded, since_ms: u64) -> StoreResult<()> {
        let is_over = loaded.call.status.is_terminal() || loaded.listening.is_none();
        if is_over || loaded.words_until_ms != since_ms {
            return Ok(());
        }
        self.news(key).fell_silent(&loaded.call, since_ms).await
    }
}
