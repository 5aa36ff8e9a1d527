//! Folds what came back into figures: what was heard, raised and run, and how long each took.
//!
//! In: moments of our own calls and messages of the live stream. Out: what belongs to our calls, with its delays, and a
//! summary. Messages about other calls are left out. Pure: time arrives with each message.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use super::{call::Moment, media::Pace};
use crate::{
    bus::live::{LiveFact, StepStatus},
    domain::{
        audio::Speaker,
        ids::{CallId, RunId},
    },
};

/// Everything that came back about our calls.
#[derive(Debug, Default)]
pub struct Tally {
    speed: f64,
    calls: BTreeMap<String, Clock>,
    sids: BTreeMap<CallId, String>,
    running: BTreeSet<RunId>,
    runs: BTreeSet<RunId>,
    ended: BTreeSet<CallId>,
    utterances: BTreeMap<Speaker, u32>,
    partials: u32,
    shed: u32,
    steps_failed: u32,
    alerts: Vec<AlertSeen>,
    to_final_ms: Vec<u64>,
    to_run_ms: Vec<u64>,
    pace: Pace,
}

/// When the parts of one call happened.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    audio_started: Option<Instant>,
    end_reported: Option<Instant>,
}

/// One alert about a call of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertSeen {
    pub call_sid: String,
    pub kind: String,
    /// Milliseconds of the call's own time.
    pub at_ms: Option<u64>,
    /// Whether the call was still on.
    pub during_call: bool,
}

/// What a message means for our calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearing {
    /// About somebody else's call.
    Foreign,
    /// About ours, and told before.
    Repeated,
    /// About ours; `delay_ms` where the message is the end of a measured span.
    Ours { call_sid: String, delay_ms: Option<u64> },
}

/// The figures of a simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub calls: usize,
    pub calls_ended: usize,
    pub utterances_customer: u32,
    pub utterances_agent: u32,
    pub partials: u32,
    /// Stretches of speech that were left without words.
    pub shed: u32,
    pub alerts: Vec<AlertSeen>,
    pub runs: usize,
    pub runs_open: usize,
    pub steps_failed: u32,
    /// From the last sample of speech to the final text here.
    pub end_of_speech_to_final_ms: Option<Quantiles>,
    /// From sending the callback that says how the call ended to its first run.
    pub callback_to_run_ms: Option<Quantiles>,
    pub frames: u64,
    pub frames_late: u64,
    pub frame_worst_ms: u64,
}

/// Two points of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    pub p50: u64,
    pub p95: u64,
    pub max: u64,
}

impl Tally {
    /// Prepares to count for calls played at `speed`.
    #[must_use]
    pub fn new(speed: f64, sids: impl IntoIterator<Item = String>) -> Self {
        Self {
            speed,
            calls: sids.into_iter().map(|sid| (sid, Clock::default())).collect(),
            ..Self::default()
        }
    }

    /// Takes in a moment of the call `sid`. The first report of an end counts.
    pub fn tell(&mut self, sid: &str, moment: Moment) {
        let clock = self.calls.entry(sid.to_owned()).or_default();
        match moment {
            Moment::AudioStarted(at) => clock.audio_started = Some(at),
            Moment::EndReported(at) => {
                clock.end_reported.get_or_insert(at);
            }
        }
    }

    /// Takes in how the sending went.
    pub fn sent(&mut self, pace: Pace) {
        self.pace = self.pace.and(pace);
    }

    /// Takes in a fact that arrived `at`.
    pub fn hear(&mut self, fact: &LiveFact, at: Instant) -> Bearing {
        if let LiveFact::CallStarted { call } | LiveFact::CallUpdated { call } | LiveFact::CallEnded { call } =
            fact
            && self.calls.contains_key(call.sid.as_str())
        {
            let is_known = self.sids.insert(call.id, call.sid.as_str().to_owned()).is_some();
            if is_known && self.is_repeated(fact) {
                return Bearing::Repeated;
            }
        }
        let Some((id, sid)) = fact
            .call_id()
            .and_then(|id| Some((id, self.sids.get(&id)?.clone())))
        else {
            return Bearing::Foreign;
        };
        let delay_ms = self.count(fact, id, &sid, at);
        Bearing::Ours {
            call_sid: sid,
            delay_ms,
        }
    }

    fn count(&mut self, fact: &LiveFact, id: CallId, sid: &str, at: Instant) -> Option<u64> {
        match fact {
            LiveFact::CallStarted { .. }
            | LiveFact::CallUpdated { .. }
            | LiveFact::SentimentTrend { .. }
            | LiveFact::AlertAcked { .. } => {}
            LiveFact::CallEnded { .. } => {
                self.ended.insert(id);
            }
            LiveFact::TranscriptPartial { .. } => self.partials += 1,
            LiveFact::TranscriptShed { .. } => self.shed += 1,
            LiveFact::TranscriptFinal { speaker, end_ms, .. } => {
                *self.utterances.entry(*speaker).or_default() += 1;
                let delay = self.after_speech(sid, *end_ms, at);
                self.to_final_ms.extend(delay);
                return delay;
            }
            LiveFact::AlertRaised { alert } => {
                let clock = self.calls.get(sid).copied().unwrap_or_default();
                self.alerts.push(AlertSeen {
                    call_sid: sid.to_owned(),
                    kind: alert.kind.clone(),
                    at_ms: clock.audio_started.map(|start| self.call_ms(start, at)),
                    during_call: clock.end_reported.is_none() && !self.ended.contains(&id),
                });
            }
            LiveFact::RunStarted { run_id, .. } => {
                self.runs.insert(*run_id);
                self.running.insert(*run_id);
                let reported = self.calls.get(sid).and_then(|clock| clock.end_reported);
                let delay = reported.map(|report| millis(at.saturating_duration_since(report)));
                self.to_run_ms.extend(delay);
                return delay;
            }
            LiveFact::RunStep { run_id, status, .. } => match status {
                StepStatus::Waiting => {
                    self.running.remove(run_id);
                }
                StepStatus::Failed => self.steps_failed += 1,
                StepStatus::Started => {
                    self.running.insert(*run_id);
                }
                StepStatus::Done | StepStatus::Unknown | StepStatus::Cancelled => {}
            },
            LiveFact::RunEnded { run_id, .. } => {
                self.running.remove(run_id);
            }
        }
        None
    }

    /// Whether a call's begin or end is told again, as happens when the server takes the call up again.
    fn is_repeated(&self, fact: &LiveFact) -> bool {
        matches!(fact, LiveFact::CallStarted { .. })
            || matches!(fact, LiveFact::CallEnded { call } if self.ended.contains(&call.id))
    }

    /// How long the slowest final text took so far.
    #[must_use]
    pub fn slowest_final(&self) -> Duration {
        Duration::from_millis(self.to_final_ms.iter().copied().max().unwrap_or_default())
    }

    /// Whether every call has ended for the server too and no run of theirs is at work.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ended.len() == self.calls.len() && self.running.is_empty()
    }

    /// Whether one of our calls started `run`.
    #[must_use]
    pub fn is_ours(&self, run: RunId) -> bool {
        self.runs.contains(&run)
    }

    /// The figures so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let said = |speaker| self.utterances.get(&speaker).copied().unwrap_or_default();
        Summary {
            calls: self.calls.len(),
            calls_ended: self.ended.len(),
            utterances_customer: said(Speaker::Customer),
            utterances_agent: said(Speaker::Agent),
            partials: self.partials,
            shed: self.shed,
            alerts: self.alerts.clone(),
            runs: self.runs.len(),
            runs_open: self.running.len(),
            steps_failed: self.steps_failed,
            end_of_speech_to_final_ms: Quantiles::of(&self.to_final_ms),
            callback_to_run_ms: Quantiles::of(&self.to_run_ms),
            frames: self.pace.frames,
            frames_late: self.pace.late,
            frame_worst_ms: millis(self.pace.worst),
        }
    }

    /// Milliseconds of the call's own time at `at`.
    fn call_ms(&self, start: Instant, at: Instant) -> u64 {
        millis(at.saturating_duration_since(start).mul_f64(self.speed))
    }

    /// Milliseconds between the moment the sample at `end_ms` was sent and `at`.
    fn after_speech(&self, sid: &str, end_ms: u64, at: Instant) -> Option<u64> {
        let start = self.calls.get(sid)?.audio_started?;
        let spoken = start + Duration::from_millis(end_ms).div_f64(self.speed);
        Some(millis(at.saturating_duration_since(spoken)))
    }
}

impl Quantiles {
    /// Returns the quantiles of `values` by nearest rank; `None` for no values.
    #[must_use]
    pub fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            sorted
                .get((sorted.len() * percent).div_ceil(100).max(1) - 1)
                .copied()
        };
        Some(Self {
            p50: rank(50)?,
            p95: rank(95)?,
            max: rank(100)?,
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        assert_eq!(Quantiles::of(&[]), None);
        assert_eq!(
            Quantiles::of(&[7]),
            Some(Quantiles {
                p50: 7,
                p95: 7,
                max: 7
            })
        );
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(
            Quantiles::of(&hundred),
            Some(Quantiles {
                p50: 50,
                p95: 95,
                max: 100
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_is_measured_from_the_end_of_its_speech_at_the_speed_of_the_call() {
        let mut tally = Tally::new(2.0, ["CA1".to_owned()]);
        let start = Instant::now();
        tally.tell("CA1", Moment::AudioStarted(start));
        assert_eq!(
            tally.after_speech("CA1", 4_000, start + Duration::from_millis(2_300)),
            Some(300)
        );
        assert_eq!(tally.after_speech("CA2", 4_000, start), None);
        assert_eq!(tally.call_ms(start, start + Duration::from_secs(3)), 6_000);
    }

    #[test]
    fn facts_about_other_calls_are_foreign() {
        let mut tally = Tally::new(1.0, ["CA1".to_owned()]);
        let fact = LiveFact::SentimentTrend {
            call_id: CallId::fresh(),
            trend: 0.0,
            at_ms: 0,
        };
        assert_eq!(tally.hear(&fact, Instant::now()), Bearing::Foreign);
    }
}
