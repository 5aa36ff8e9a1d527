//! Who spoke how long: talk ratio, interruptions and silence of a call.
//!
//! In: utterances of both sides with their times, in any order. Out: totals in milliseconds. Pure.

use serde::Serialize;

use crate::domain::{audio::Speaker, transcript::Utterance};

/// An utterance that begins this long before the other side ends is an interruption; less is a smooth hand-over.
const INTERRUPTION_MS: u64 = 400;
/// A pause shorter than this belongs to normal speech and is not counted as silence.
const SILENCE_MS: u64 = 2_000;

/// Talk time of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TalkStats {
    pub customer_ms: u64,
    pub agent_ms: u64,
    /// Customer's share of all speech, 0.0 to 1.0; absent before anybody spoke.
    pub customer_share: Option<f32>,
    /// Times the customer began while the agent was speaking.
    pub customer_interruptions: u32,
    /// Times the agent began while the customer was speaking.
    pub agent_interruptions: u32,
    /// Sum and longest of the pauses of 2 s and more in which nobody spoke.
    pub silence_ms: u64,
    pub longest_silence_ms: u64,
}

/// Measures `utterances`, which need not be in order.
#[must_use]
pub fn measure(utterances: &[Utterance]) -> TalkStats {
    let mut spans: Vec<(u64, u64, Speaker)> = utterances
        .iter()
        .map(|u| (u.start_ms, u.end_ms.max(u.start_ms), u.speaker))
        .collect();
    spans.sort_unstable();
    let mut stats = TalkStats::default();
    let mut customer_until_ms = 0;
    let mut agent_until_ms = 0;
    for (start_ms, end_ms, speaker) in spans {
        let heard_until_ms = u64::max(customer_until_ms, agent_until_ms);
        let pause_ms = start_ms.saturating_sub(heard_until_ms);
        if heard_until_ms > 0 && pause_ms >= SILENCE_MS {
            stats.silence_ms += pause_ms;
            stats.longest_silence_ms = stats.longest_silence_ms.max(pause_ms);
        }
        let (mine_ms, interruptions, my_until_ms, other_until_ms) = match speaker {
            Speaker::Customer => (
                &mut stats.customer_ms,
                &mut stats.customer_interruptions,
                &mut customer_until_ms,
                agent_until_ms,
            ),
            Speaker::Agent => (
                &mut stats.agent_ms,
                &mut stats.agent_interruptions,
                &mut agent_until_ms,
                customer_until_ms,
            ),
        };
        let goes_on = start_ms < *my_until_ms;
        if !goes_on && other_until_ms >= start_ms + INTERRUPTION_MS {
            *interruptions += 1;
        }
        *mine_ms += end_ms.saturating_sub(start_ms.max(*my_until_ms));
        *my_until_ms = end_ms.max(*my_until_ms);
    }
    stats.customer_share = share(stats.customer_ms, stats.agent_ms);
    stats
}

fn share(mine_ms: u64, other_ms: u64) -> Option<f32> {
    let total_s = std::time::Duration::from_millis(mine_ms + other_ms).as_secs_f32();
    (total_s > 0.0).then(|| std::time::Duration::from_millis(mine_ms).as_secs_f32() / total_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(speaker: Speaker, start_ms: u64, end_ms: u64) -> Utterance {
        Utterance {
            ordinal: 0,
            speaker,
            text: "words".into(),
            start_ms,
            end_ms,
            sentiment: None,
        }
    }

    #[test]
    fn counts_speech_overlap_and_pauses() {
        let stats = measure(&[
            said(Speaker::Agent, 0, 3_000),
            said(Speaker::Customer, 2_000, 5_000),
            said(Speaker::Agent, 4_900, 6_000),
            said(Speaker::Customer, 9_000, 10_000),
        ]);
        assert_eq!((stats.customer_ms, stats.agent_ms), (4_000, 4_100));
        assert_eq!((stats.customer_interruptions, stats.agent_interruptions), (1, 0));
        assert_eq!((stats.silence_ms, stats.longest_silence_ms), (3_000, 3_000));
        assert!((stats.customer_share.expect("they spoke") - 4.0 / 8.1).abs() < 1e-4);
    }

    #[test]
    fn nobody_spoke_is_not_a_share_of_zero() {
        assert_eq!(measure(&[]), TalkStats::default());
    }
}
