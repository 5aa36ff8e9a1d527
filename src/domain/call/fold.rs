//! Folds facts into a call's record.
//!
//! In: a record, one fact, the time it was taken in. Out: what changed that others should hear of, each at most once per call.
//! The record is a function of the set of facts: order and repeats do not matter. So every field is a maximum, a minimum or
//! a union, and what is told is remembered in the record. Where reports contradict each other on how a call was missed, one
//! miss is told, of the kind that was heard of first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Call, CallFact, CallStatus, Parties};
use crate::domain::{ids::StreamSid, message::Direction, time::Timestamp};

/// What a fact changed about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallChange {
    /// The record differs from before; the live view should be told. The only one that comes more than once.
    Updated,
    /// The two sides can hear each other.
    Answered,
    /// Nobody answered: `call.no_answer`.
    Unanswered,
    /// `call.busy`.
    Busy,
    /// `call.failed`.
    Failed,
    /// A machine answered or the caller left a message: `call.voicemail`.
    Voicemail,
    /// The call is over, however it ended.
    Ended,
}

impl CallChange {
    /// Whether it says that the two sides did not come together. At most one of these is told per call.
    #[must_use]
    pub const fn is_miss(self) -> bool {
        matches!(self, Self::Unanswered | Self::Busy | Self::Failed)
    }
}

/// What the fold remembers beyond what the record shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldState {
    /// The status stands only because the call was lost; any final report outranks it.
    lost: bool,
    parties_known: bool,
    /// First moment the provider's own leg was surely up.
    connected_at: Option<Timestamp>,
    /// End of the call less its length: for when the report of the answer never came.
    connected_about: Option<Timestamp>,
    /// Our agent picked up.
    agent_at: Option<Timestamp>,
    /// End of the agent's leg less its length.
    agent_about: Option<Timestamp>,
    /// Ways in which a leg came to nothing.
    missed: BTreeSet<CallStatus>,
    /// The call itself was cancelled: a miss when somebody called us, our own doing otherwise.
    canceled: bool,
    streams: BTreeMap<StreamSid, StreamLife>,
    told: BTreeSet<CallChange>,
}

impl FoldState {
    /// Whether nothing is remembered: then it is left out of what people see.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of one media stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StreamLife {
    started_at: Option<Timestamp>,
    stopped: bool,
    /// Some end of it was not the provider's word.
    broke: bool,
}

impl Call {
    /// Folds one fact in and returns what changed: [`CallChange::Updated`] first, [`CallChange::Ended`] last.
    pub fn apply(&mut self, fact: &CallFact, at: Timestamp) -> Vec<CallChange> {
        let before = self.clone();
        self.started_at = self.started_at.min(at);
        self.take_in(fact, at);
        self.derive();
        let fresh: Vec<CallChange> = self
            .findings()
            .into_iter()
            .filter(|found| self.tell(*found))
            .collect();
        let is_visible = Self {
            fold: before.fold.clone(),
            ..self.clone()
        } != before;
        let updated = is_visible.then_some(CallChange::Updated);
        updated.into_iter().chain(fresh).collect()
    }

    fn take_in(&mut self, fact: &CallFact, at: Timestamp) {
        match fact {
            CallFact::Requested {
                direction,
                from,
                to,
                status,
            } => {
                let parties = Parties {
                    direction: *direction,
                    from: from.clone(),
                    to: to.clone(),
                };
                self.name_parties(&parties);
                self.reach(*status, None, at);
            }
            CallFact::StatusReported {
                status,
                sequence,
                duration_s,
                sip_code,
                parties,
            } => {
                if let Some(parties) = parties {
                    self.name_parties(parties);
                }
                self.reach(*status, *sequence, at);
                self.duration_s = self.duration_s.max(*duration_s);
                self.sip_code = self.sip_code.max(*sip_code);
                let talked_s = duration_s.filter(|seconds| *seconds > 0);
                if let (CallStatus::Completed, Some(seconds)) = (*status, talked_s) {
                    earliest(&mut self.fold.connected_about, before(at, seconds));
                }
            }
            CallFact::DialAnswered => {
                self.reach(CallStatus::InProgress, None, at);
                earliest(&mut self.fold.agent_at, at);
            }
            CallFact::DialEnded { status, duration_s } => self.end_dial(*status, *duration_s, at),
            CallFact::MachineDetected { answered_by } => {
                self.reach(CallStatus::InProgress, None, at);
                self.answered_by = self.answered_by.max(Some(*answered_by));
            }
            CallFact::RecordingReady {
                url,
                duration_s: _,
                voicemail,
            } => self.keep_recording(url, *voicemail),
            CallFact::StreamStarted { stream } => {
                self.reach(CallStatus::InProgress, None, at);
                let life = self.fold.streams.entry(stream.clone()).or_default();
                earliest(&mut life.started_at, at);
            }
            CallFact::StreamStopped { stream, clean } => {
                let life = self.fold.streams.entry(stream.clone()).or_default();
                life.stopped = true;
                life.broke |= !clean;
            }
            CallFact::Lost => {
                earliest(&mut self.ended_at, at);
                if !self.status.is_terminal() {
                    self.status = CallStatus::Failed;
                    self.sequence = None;
                    self.fold.lost = true;
                }
            }
        }
    }

    /// A message outranks a recording of the call; the greatest text decides between equals.
    fn keep_recording(&mut self, url: &str, voicemail: bool) {
        if (voicemail, Some(url)) > (self.voicemail, self.recording_url.as_deref()) {
            self.recording_url = Some(url.to_owned());
        }
        self.voicemail |= voicemail;
    }

    fn name_parties(&mut self, parties: &Parties) {
        let known = self.fold.parties_known.then_some(self.direction);
        self.direction = known.map_or(parties.direction, |known| known.min(parties.direction));
        self.fold.parties_known = true;
        keep_greater(&mut self.from, &parties.from);
        keep_greater(&mut self.to, &parties.to);
    }

    /// Moves the status up to what was reported, never down.
    fn reach(&mut self, status: CallStatus, sequence: Option<u32>, at: Timestamp) {
        let standing = (rank(self.status), !self.fold.lost, self.sequence, self.status);
        if (rank(status), true, sequence, status) > standing {
            self.status = status;
            self.sequence = sequence;
            self.fold.lost = false;
        }
        match status {
            CallStatus::Queued | CallStatus::Initiated | CallStatus::Ringing => return,
            CallStatus::InProgress => return earliest(&mut self.fold.connected_at, at),
            CallStatus::Completed => (),
            CallStatus::Canceled => self.fold.canceled = true,
            CallStatus::Busy | CallStatus::Failed | CallStatus::NoAnswer => {
                self.fold.missed.insert(status);
            }
        }
        earliest(&mut self.ended_at, at);
    }

    /// Takes in how the leg to our agent ended. A report that it has not ended yet changes nothing.
    fn end_dial(&mut self, status: CallStatus, duration_s: Option<u32>, at: Timestamp) {
        if !status.is_terminal() {
            return;
        }
        self.reach(CallStatus::InProgress, None, at);
        let rank_of = |ended: CallStatus| (ended == CallStatus::Completed, ended);
        if self.dial_status.map(rank_of) < Some(rank_of(status)) {
            self.dial_status = Some(status);
        }
        if status == CallStatus::Completed {
            earliest(&mut self.fold.agent_about, before(at, duration_s.unwrap_or(0)));
        } else {
            self.fold.missed.insert(status);
        }
    }

    /// Sets what follows from everything taken in so far.
    fn derive(&mut self) {
        let fold = &self.fold;
        let agent_at = fold.agent_at.or(fold.agent_about);
        self.answered_at = match (fold.parties_known, self.direction) {
            // Our own answer to a caller connects nobody: the agent's does.
            (false, _) | (true, Direction::Inbound) => agent_at,
            (true, Direction::Outbound) => fold.connected_at.or(fold.connected_about),
        };
        let broken = fold.streams.values().filter(|life| life.broke).count();
        self.gaps = u32::try_from(broken).unwrap_or(u32::MAX);
        let open = fold.streams.iter().filter(|(_, life)| !life.stopped);
        let newest = open.max_by_key(|(sid, life)| (life.started_at, (*sid).clone()));
        self.stream = newest
            .filter(|_| !self.status.is_terminal())
            .map(|(sid, _)| sid.clone());
    }

    /// Everything that holds of the call, told or not.
    fn findings(&self) -> Vec<CallChange> {
        let mut found = Vec::new();
        if self.answered_at.is_some() {
            found.push(CallChange::Answered);
        }
        let is_abandoned =
            self.fold.canceled && self.fold.parties_known && self.direction == Direction::Inbound;
        let given_up = is_abandoned.then_some(CallStatus::Canceled);
        found.extend(self.fold.missed.iter().copied().chain(given_up).map(miss_of));
        if self.voicemail || self.answered_by.is_some_and(super::AnsweredBy::is_machine) {
            found.push(CallChange::Voicemail);
        }
        if self.status.is_terminal() {
            found.push(CallChange::Ended);
        }
        found
    }

    /// Remembers that `found` was told. Returns whether it is told for the first time.
    fn tell(&mut self, found: CallChange) -> bool {
        let is_second_miss = found.is_miss() && self.fold.told.iter().any(|told| told.is_miss());
        !is_second_miss && self.fold.told.insert(found)
    }
}

/// How far along a call is; everything final ranks alike.
const fn rank(status: CallStatus) -> u8 {
    match status {
        CallStatus::Queued => 0,
        CallStatus::Initiated => 1,
        CallStatus::Ringing => 2,
        CallStatus::InProgress => 3,
        CallStatus::Completed
        | CallStatus::Busy
        | CallStatus::Failed
        | CallStatus::NoAnswer
        | CallStatus::Canceled => 4,
    }
}

const fn miss_of(ended: CallStatus) -> CallChange {
    match ended {
        CallStatus::Busy => CallChange::Busy,
        CallStatus::Failed => CallChange::Failed,
        CallStatus::NoAnswer
        | CallStatus::Canceled
        | CallStatus::Completed
        | CallStatus::Queued
        | CallStatus::Initiated
        | CallStatus::Ringing
        | CallStatus::InProgress => CallChange::Unanswered,
    }
}

fn before(at: Timestamp, seconds: u32) -> Timestamp {
    Timestamp::from_unix_millis(at.as_unix_millis().saturating_sub(u64::from(seconds) * 1_000))
}

fn earliest(kept: &mut Option<Timestamp>, at: Timestamp) {
    *kept = Some(kept.map_or(at, |earlier| earlier.min(at)));
}

fn keep_greater(kept: &mut String, offered: &str) {
    if offered > kept.as_str() {
        offered.clone_into(kept);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::domain::{
        call::AnsweredBy,
        ids::{AccountId, CallId, CallSid},
    };

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + second * 1_000)
    }

    fn fresh(first: Timestamp) -> Call {
        let account = AccountId::derived(at(0), &[b"account"]);
        Call::new(
            CallId::derived(at(0), &[b"call"]),
            account,
            CallSid::new("CA1"),
            first,
        )
    }

    fn fold(facts: &[(CallFact, Timestamp)]) -> (Call, Vec<CallChange>) {
        let mut call = fresh(facts[0].1);
        let changes = facts
            .iter()
            .flat_map(|(fact, at)| call.apply(fact, *at))
            .collect();
        (call, changes)
    }

    /// Gives the facts one after the other, a second apart.
    fn told(facts: &[CallFact]) -> (Call, Vec<CallChange>) {
        let timed: Vec<_> = facts.iter().cloned().zip((0..).map(at)).collect();
        let (call, changes) = fold(&timed);
        (
            call,
            changes
                .into_iter()
                .filter(|change| *change != CallChange::Updated)
                .collect(),
        )
    }

    fn requested(direction: Direction) -> CallFact {
        let status = CallStatus::Ringing;
        CallFact::Requested {
            direction,
            from: "+14155550101".into(),
            to: "+14155550102".into(),
            status,
        }
    }

    fn reported(status: CallStatus, sequence: u32) -> CallFact {
        CallFact::StatusReported {
            status,
            sequence: Some(sequence),
            duration_s: None,
            sip_code: None,
            parties: None,
        }
    }

    fn dial_ended(status: CallStatus) -> CallFact {
        CallFact::DialEnded {
            status,
            duration_s: None,
        }
    }

    fn stream(name: &str) -> StreamSid {
        StreamSid::new(name)
    }

    #[test]
    fn a_caller_whom_no_agent_answers_is_missed_once() {
        for (status, change) in [
            (CallStatus::NoAnswer, CallChange::Unanswered),
            (CallStatus::Canceled, CallChange::Unanswered),
            (CallStatus::Busy, CallChange::Busy),
            (CallStatus::Failed, CallChange::Failed),
        ] {
            let dialled = [
                requested(Direction::Inbound),
                dial_ended(status),
                reported(CallStatus::Completed, 3),
            ];
            assert_eq!(told(&dialled).1, [change, CallChange::Ended]);
            let abandoned = [
                requested(Direction::Inbound),
                reported(status, 1),
                dial_ended(status),
            ];
            assert_eq!(told(&abandoned).1, [change, CallChange::Ended]);
        }
    }

    #[test]
    fn a_caller_who_reaches_an_agent_is_answered_and_not_missed() {
        let facts = [
            requested(Direction::Inbound),
            CallFact::DialAnswered,
            dial_ended(CallStatus::Completed),
            reported(CallStatus::Completed, 2),
        ];
        let (call, changes) = told(&facts);
        assert_eq!(changes, [CallChange::Answered, CallChange::Ended]);
        assert_eq!((call.answered_at, call.ended_at), (Some(at(1)), Some(at(3))));
    }

    #[test]
    fn our_own_announcement_does_not_count_as_an_answer() {
        let (call, changes) = told(&[requested(Direction::Inbound), reported(CallStatus::InProgress, 1)]);
        assert_eq!((call.answered_at, changes), (None, vec![]));
    }

    #[test]
    fn an_outbound_call_that_we_cancel_is_no_miss() {
        let (_, changes) = told(&[requested(Direction::Outbound), reported(CallStatus::Canceled, 1)]);
        assert_eq!(changes, [CallChange::Ended]);
    }

    #[test]
    fn the_length_tells_when_a_lost_answer_was() {
        let ended = CallFact::StatusReported {
            status: CallStatus::Completed,
            sequence: Some(3),
            duration_s: Some(30),
            sip_code: Some(200),
            parties: Some(Parties {
                direction: Direction::Outbound,
                from: "+1415".into(),
                to: "+1416".into(),
            }),
        };
        let (call, changes) = fold(&[(ended, at(100))]);
        assert_eq!(
            changes,
            [CallChange::Updated, CallChange::Answered, CallChange::Ended]
        );
        assert_eq!(
            (call.answered_at, call.customer_number()),
            (Some(at(70)), "+1416")
        );
    }

    #[test]
    fn a_late_report_does_not_take_an_ended_call_back() {
        let facts = [
            reported(CallStatus::Completed, 3),
            reported(CallStatus::Ringing, 1),
            reported(CallStatus::InProgress, 2),
        ];
        let (call, changes) = told(&facts);
        assert_eq!((call.status, call.sequence), (CallStatus::Completed, Some(3)));
        assert_eq!(changes, [CallChange::Ended]);
        assert_eq!(call.ended_at, Some(at(0)));
    }

    #[test]
    fn an_ended_call_still_learns_of_its_machine_and_its_recording() {
        let recording = CallFact::RecordingReady {
            url: "https://r/1".into(),
            duration_s: Some(4),
            voicemail: false,
        };
        let machine = CallFact::MachineDetected {
            answered_by: AnsweredBy::MachineEndBeep,
        };
        let (call, changes) = told(&[
            requested(Direction::Outbound),
            reported(CallStatus::Completed, 3),
            recording,
            machine,
        ]);
        assert_eq!(call.recording_url.as_deref(), Some("https://r/1"));
        assert!(changes.contains(&CallChange::Voicemail) && !call.voicemail);
    }

    #[test]
    fn a_cut_stream_is_a_gap_whatever_the_provider_says_later() {
        let cut = CallFact::StreamStopped {
            stream: stream("MZ1"),
            clean: false,
        };
        let word = CallFact::StreamStopped {
            stream: stream("MZ1"),
            clean: true,
        };
        let start = |name| CallFact::StreamStarted { stream: stream(name) };
        let (call, _) = told(&[start("MZ1"), cut, word, start("MZ2")]);
        assert_eq!((call.gaps, call.stream), (1, Some(stream("MZ2"))));
    }

    #[test]
    fn a_lost_call_ends_without_a_miss_and_yields_to_a_real_report() {
        let (call, changes) = told(&[
            requested(Direction::Inbound),
            CallFact::Lost,
            reported(CallStatus::Completed, 2),
        ]);
        assert_eq!(changes, [CallChange::Ended]);
        assert_eq!(call.status, CallStatus::Completed);
        let (call, _) = told(&[reported(CallStatus::Completed, 2), CallFact::Lost]);
        assert_eq!(call.status, CallStatus::Completed);
    }

    const ENDS: [CallStatus; 5] = [
        CallStatus::Completed,
        CallStatus::Busy,
        CallStatus::Failed,
        CallStatus::NoAnswer,
        CallStatus::Canceled,
    ];

    /// Facts with their times.
    type Timed = Vec<(CallFact, Timestamp)>;

    /// What a call that an honest provider tells of may have: one direction, one end, one result of the dial.
    #[derive(Debug, Clone)]
    struct Plot {
        direction: Direction,
        end: CallStatus,
        dial: Option<CallStatus>,
        seconds: u32,
        has_request: bool,
        has_machine: bool,
        has_recording: bool,
        has_restart: bool,
        is_clean: bool,
        is_lost: bool,
    }

    fn plot() -> impl Strategy<Value = Plot> {
        let direction = select(vec![Direction::Inbound, Direction::Outbound]);
        let dial = prop::option::of(select(ENDS.to_vec()));
        (
            direction,
            select(ENDS.to_vec()),
            dial,
            any::<[bool; 6]>(),
            0_u32..90,
        )
            .prop_map(|(direction, end, dial, flags, seconds)| {
                let [
                    has_request,
                    has_machine,
                    has_recording,
                    has_restart,
                    is_clean,
                    is_lost,
                ] = flags;
                Plot {
                    direction,
                    end,
                    dial,
                    seconds,
                    has_request,
                    has_machine,
                    has_recording,
                    has_restart,
                    is_clean,
                    is_lost,
                }
            })
    }

    fn history(plot: &Plot) -> Vec<CallFact> {
        let mut facts = vec![
            reported(CallStatus::Initiated, 0),
            reported(CallStatus::Ringing, 1),
        ];
        facts.extend(plot.has_request.then(|| requested(plot.direction)));
        if plot.end == CallStatus::Completed {
            facts.extend([
                reported(CallStatus::InProgress, 2),
                CallFact::StreamStarted {
                    stream: stream("MZ1"),
                },
                CallFact::StreamStopped {
                    stream: stream("MZ1"),
                    clean: plot.is_clean,
                },
            ]);
            let duration_s = Some(plot.seconds);
            facts.extend((plot.dial == Some(CallStatus::Completed)).then_some(CallFact::DialAnswered));
            facts.extend(plot.dial.map(|status| CallFact::DialEnded { status, duration_s }));
        }
        let answered_by = AnsweredBy::MachineEndBeep;
        facts.extend(
            plot.has_machine
                .then_some(CallFact::MachineDetected { answered_by }),
        );
        facts.extend(plot.has_restart.then(|| CallFact::StreamStarted {
            stream: stream("MZ2"),
        }));
        facts.extend(plot.has_recording.then(|| CallFact::RecordingReady {
            url: "https://r/1".to_owned(),
            duration_s: Some(3),
            voicemail: plot.has_machine,
        }));
        facts.extend(plot.is_lost.then_some(CallFact::Lost));
        let (from, to) = ("+14155550101".into(), "+14155550102".into());
        facts.push(CallFact::StatusReported {
            status: plot.end,
            sequence: Some(3),
            duration_s: Some(plot.seconds),
            sip_code: None,
            parties: Some(Parties {
                direction: plot.direction,
                from,
                to,
            }),
        });
        facts
    }

    /// The facts with their times, and three of each in any order.
    fn storm(facts: Vec<CallFact>) -> impl Strategy<Value = (Timed, Timed)> {
        let timed: Timed = facts.into_iter().zip((0..).map(at)).collect();
        let tripled: Timed = timed.iter().cloned().cycle().take(timed.len() * 3).collect();
        (Just(timed), Just(tripled).prop_shuffle())
    }

    /// Facts that no provider would put together.
    fn any_fact() -> impl Strategy<Value = CallFact> {
        let statuses = vec![
            CallStatus::Queued,
            CallStatus::Initiated,
            CallStatus::Ringing,
            CallStatus::InProgress,
            CallStatus::Completed,
            CallStatus::Busy,
            CallStatus::Failed,
            CallStatus::NoAnswer,
            CallStatus::Canceled,
        ];
        let machines = vec![AnsweredBy::Human, AnsweredBy::Unknown, AnsweredBy::MachineStart];
        let streams = || select(vec![stream("MZ1"), stream("MZ2")]);
        prop_oneof![
            Just(requested(Direction::Inbound)),
            Just(CallFact::DialAnswered),
            Just(CallFact::Lost),
            (
                select(statuses.clone()),
                prop::option::of(0_u32..5),
                prop::option::of(0_u32..99)
            )
                .prop_map(|(status, sequence, duration_s)| {
                    CallFact::StatusReported {
                        status,
                        sequence,
                        duration_s,
                        sip_code: None,
                        parties: None,
                    }
                }),
            (select(statuses), prop::option::of(0_u32..99))
                .prop_map(|(status, duration_s)| CallFact::DialEnded { status, duration_s }),
            select(machines).prop_map(|answered_by| CallFact::MachineDetected { answered_by }),
            ("[a-c]", any::<bool>()).prop_map(|(url, voicemail)| CallFact::RecordingReady {
                url,
                duration_s: None,
                voicemail
            }),
            streams().prop_map(|stream| CallFact::StreamStarted { stream }),
            (streams(), any::<bool>()).prop_map(|(stream, clean)| CallFact::StreamStopped { stream, clean }),
        ]
    }

    fn once_each(changes: &[CallChange]) -> Result<BTreeSet<CallChange>, TestCaseError> {
        let told: Vec<_> = changes
            .iter()
            .copied()
            .filter(|change| *change != CallChange::Updated)
            .collect();
        let set: BTreeSet<_> = told.iter().copied().collect();
        prop_assert_eq!(told.len(), set.len(), "told twice: {:?}", told);
        prop_assert!(
            told.iter().filter(|change| change.is_miss()).count() <= 1,
            "missed twice: {:?}",
            told
        );
        Ok(set)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn order_and_repeats_change_neither_record_nor_what_is_told(
            (calm, storm) in plot().prop_flat_map(|plot| storm(history(&plot)))
        ) {
            let (expected, calm_changes) = fold(&calm);
            let (call, changes) = fold(&storm);
            prop_assert_eq!(&call, &expected);
            prop_assert_eq!(once_each(&changes)?, once_each(&calm_changes)?);
            prop_assert!(call.ended_at.is_some() && call.stream.is_none());
        }

        #[test]
        fn even_contradictory_facts_give_one_record_and_at_most_one_miss(
            (calm, storm) in prop::collection::vec(any_fact(), 1..12).prop_flat_map(storm)
        ) {
            let (mut expected, calm_changes) = fold(&calm);
            let (mut call, changes) = fold(&storm);
            let kinds = |changes: &[CallChange]| -> Result<BTreeSet<Option<CallChange>>, TestCaseError> {
                // Which kind of miss is told may depend on the order, whether one is told may not.
                Ok(once_each(changes)?.into_iter().map(|change| (!change.is_miss()).then_some(change)).collect())
            };
            prop_assert_eq!(kinds(&changes)?, kinds(&calm_changes)?);
            expected.fold.told.clear();
            call.fold.told.clear();
            prop_assert_eq!(call, expected);
        }
    }
}
