//! Folds facts into a call's record.
//!
//! In: a record, one fact, the time it was taken in. Out: what changed that others should hear of, each at most once per call.
//! The record is a function of the set of facts: order and repeats do not matter. So every field is a maximum, a minimum or
//! a union, and what is told is remembered in the record. Where reports contradict each other on how a call was missed, one
//! miss is told, of the kind that was heard of first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Call, CallFact, CallStatus, Leg, LegNews, Parties, Supervision, room::Room};
use crate::domain::{audio::Speaker, ids::StreamSid, message::Direction, time::Timestamp};

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
    /// The call's own room.
    #[serde(default)]
    pub(super) room: Room,
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
    /// The provider ended it, and we heard so on its socket.
    #[serde(default)]
    ended: bool,
    /// Who is heard on its inbound track.
    #[serde(default)]
    inbound: Option<Speaker>,
}

impl StreamLife {
    fn begin(&mut self, at: Timestamp, inbound: Option<Speaker>) {
        earliest(&mut self.started_at, at);
        self.inbound = self.inbound.max(inbound);
    }

    fn stop(&mut self, is_clean: bool) {
        self.stopped = true;
        self.broke |= !is_clean;
        self.ended |= is_clean;
    }

    /// Whether the transcript has a hole behind it: it broke off, or another began although nobody heard it end.
    fn leaves_gap(&self, last_began: Option<Timestamp>) -> bool {
        self.broke || (!self.ended && self.started_at.is_some() && self.started_at < last_began)
    }
}

impl Call {
    /// Who is heard on the inbound track of a call that goes on and should be heard: its last stream has not been ended by the provider. It may
    /// be open, or have broken off.
    #[must_use]
    pub fn should_be_heard(&self) -> Option<Speaker> {
        let began = self
            .fold
            .streams
            .values()
            .filter(|life| life.started_at.is_some());
        let last = began.max_by_key(|life| life.started_at)?;
        let is_due = !self.status.is_terminal() && (last.broke || !last.ended);
        is_due.then(|| last.inbound.unwrap_or(Speaker::Customer))
    }

    /// When its first stream began: later streams' times go on from it.
    #[must_use]
    pub fn first_stream_began(&self) -> Option<Timestamp> {
        let streams = self.fold.streams.values();
        streams.filter_map(|life| life.started_at).min()
    }

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
            CallFact::StreamStarted { stream, inbound } => {
                self.reach(CallStatus::InProgress, None, at);
                self.life_of(stream).begin(at, *inbound);
            }
            CallFact::StreamStopped { stream, clean } => self.life_of(stream).stop(*clean),
            CallFact::StreamReportedOver { stream } => self.life_of(stream).stopped = true,
            CallFact::Leg { leg, news } => self.take_leg(*leg, news, at),
            CallFact::RoomClosed { room } => self.fold.room.close(room),
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

    /// Whoever joins the room is connected; once it is the agent, the two sides can hear each other.
    fn take_leg(&mut self, leg: Leg, news: &LegNews, at: Timestamp) {
        match (leg, news) {
            (Leg::Customer, LegNews::Joined { .. }) => self.reach(CallStatus::InProgress, None, at),
            (Leg::Agent { .. }, LegNews::Joined { .. }) => {
                self.reach(CallStatus::InProgress, None, at);
                earliest(&mut self.fold.agent_at, at);
            }
            (Leg::Customer | Leg::Agent { .. } | Leg::Monitor { .. }, _) => (),
        }
        self.fold.room.take_in(leg, news, at);
    }

    fn life_of(&mut self, stream: &StreamSid) -> &mut StreamLife {
        self.fold.streams.entry(stream.clone()).or_default()
    }

    /// A message outranks a recording of the call; the greatest text decides between equals.
    fn keep_recording(&mut self, url: &str, voicemail: bool) {
        // The address of one that is not kept any more says nothing.
        if !url.is_empty() && (voicemail, Some(url)) > (self.voicemail, self.recording_url.as_deref()) {
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
        let last_began = fold.streams.values().filter_map(|life| life.started_at).max();
        let lives = fold.streams.values();
        let broken = lives.filter(|life| life.leaves_gap(last_began)).count();
        self.gaps = u32::try_from(broken).unwrap_or(u32::MAX);
        // One that another took the place of is not waited for: its listener may have died.
        let open = fold
            .streams
            .iter()
            .filter(|(_, life)| !life.stopped && life.started_at >= last_began);
        let newest = open.max_by_key(|(sid, life)| (life.started_at, (*sid).clone()));
        self.stream = newest
            .filter(|_| !self.status.is_terminal())
            .map(|(sid, _)| sid.clone());
        (self.supervision, self.monitors) = if self.status.is_terminal() {
            (Supervision::Off, Vec::new())
        } else {
            (fold.room.supervision(), fold.room.monitors())
        };
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
mod tests;
