//! A call's own room: who was asked in, who is there, and which supervisors listen.
//!
//! In: news of legs, in any order and number. Out: the same state for the same set of news. Part of the call's fold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::leg::{Leg, LegNews, MonitorMode};
use crate::domain::{
    ids::{CallSid, RoomSid, UserId},
    time::Timestamp,
};

/// Whether supervisors can listen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Supervision {
    /// It has no room of its own, or is over: the number's `supervision` was off when it began.
    #[default]
    Off,
    /// It has, and no agent is in it at this moment.
    Waiting,
    /// Customer and agent talk in it.
    Ready,
}

/// A supervisor who takes part in a call, or whose telephone rings for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Monitor {
    #[schema(value_type = String)]
    pub user_id: UserId,
    pub mode: MonitorMode,
    pub state: MonitorState,
    /// Since when they are in it, or their telephone rings.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// How far a supervisor has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MonitorState {
    /// Their telephone rings, or may ring.
    Calling,
    /// They are on the call.
    On,
}

/// A room as the fold remembers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    legs: BTreeMap<Leg, LegLife>,
    /// Rooms that have closed: the same call may be given another.
    over: BTreeSet<RoomSid>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LegLife {
    asked: Option<Asked>,
    sid: Option<CallSid>,
    stays: BTreeMap<RoomSid, Stay>,
    set: Option<(u32, u32, MonitorMode)>,
    ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Asked {
    at: Timestamp,
    room: RoomSid,
    mode: MonitorMode,
    key: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stay {
    joined_at: Option<Timestamp>,
    left: bool,
}

/// Customer and agent in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    pub room: RoomSid,
    /// The agent's leg: who is whispered to.
    pub agent: CallSid,
}

/// A supervisor's leg that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorLeg {
    pub leg: Leg,
    /// The provider's id; unknown while nobody knows whether it was dialled.
    pub sid: Option<CallSid>,
    pub room: RoomSid,
    pub asked_at: Timestamp,
}

impl Room {
    pub(super) fn take_in(&mut self, leg: Leg, news: &LegNews, at: Timestamp) {
        let life = self.legs.entry(leg).or_default();
        match news {
            LegNews::Asked { room, mode, key, .. } => {
                let asked = Asked {
                    at,
                    room: room.clone(),
                    mode: *mode,
                    key: key.clone(),
                };
                let first = life.asked.take().map_or(asked.clone(), |known| known.min(asked));
                life.asked = Some(first);
            }
            LegNews::Made { sid } => life.named(sid),
            LegNews::Joined { sid, room } => {
                life.named(sid);
                let joined_at = &mut life.stays.entry(room.clone()).or_default().joined_at;
                *joined_at = Some(joined_at.map_or(at, |earlier| earlier.min(at)));
            }
            LegNews::Set { mode, sequence, ours } => life.set = life.set.max(Some((*sequence, *ours, *mode))),
            LegNews::Left { room } => life.stays.entry(room.clone()).or_default().left = true,
            LegNews::Ended => life.ended = true,
        }
    }

    pub(super) fn close(&mut self, room: &RoomSid) {
        self.over.insert(room.clone());
    }

    fn is_in(&self, leg: Leg, room: &RoomSid) -> bool {
        self.legs.get(&leg).is_some_and(|life| self.stays(life, room))
    }

    fn stays(&self, life: &LegLife, room: &RoomSid) -> bool {
        let stay = life.stays.get(room);
        let is_there = stay.is_some_and(|stay| stay.joined_at.is_some() && !stay.left);
        is_there && !life.ended && !self.over.contains(room)
    }

    /// The room that the customer is in.
    fn current(&self) -> Option<&RoomSid> {
        let customer = self.legs.get(&Leg::Customer)?;
        let stays = customer.stays.iter();
        let here = stays.filter(|(room, _)| self.is_in(Leg::Customer, room));
        here.max_by_key(|(_, stay)| stay.joined_at).map(|(room, _)| room)
    }

    fn talk(&self) -> Option<Talk> {
        let room = self.current()?;
        let mut agents = self
            .legs
            .iter()
            .filter(|(leg, _)| matches!(leg, Leg::Agent { .. }));
        let agent = agents.find(|(_, life)| self.stays(life, room))?.1;
        Some(Talk {
            room: room.clone(),
            agent: agent.sid.clone()?,
        })
    }

    /// Whether a supervisor's leg is neither over nor gone from where it was.
    fn is_open(&self, life: &LegLife) -> bool {
        let is_lost = life
            .asked
            .as_ref()
            .is_some_and(|asked| self.over.contains(&asked.room));
        let is_gone = !life.stays.is_empty() && !life.stays.keys().any(|room| self.stays(life, room));
        !life.ended && !is_lost && !is_gone
    }

    pub(super) fn supervision(&self) -> Supervision {
        match (self.talk(), self.legs.is_empty()) {
            (Some(_), _) => Supervision::Ready,
            (None, false) => Supervision::Waiting,
            (None, true) => Supervision::Off,
        }
    }

    pub(super) fn monitors(&self) -> Vec<Monitor> {
        let legs = self.legs.iter().filter(|(_, life)| self.is_open(life));
        legs.filter_map(|(leg, life)| {
            let Leg::Monitor { user_id, .. } = leg else {
                return None;
            };
            let joined_at = life.stays.values().filter_map(|stay| stay.joined_at).min();
            Some(Monitor {
                user_id: *user_id,
                mode: life.mode(),
                state: if joined_at.is_some() {
                    MonitorState::On
                } else {
                    MonitorState::Calling
                },
                since: joined_at.or(life.asked.as_ref().map(|asked| asked.at))?,
            })
        })
        .collect()
    }
}

impl LegLife {
    fn named(&mut self, sid: &CallSid) {
        // A leg is dialled once; should there be two ids, all readers choose the same.
        if self.sid.as_ref() < Some(sid) {
            self.sid = Some(sid.clone());
        }
    }

    fn mode(&self) -> MonitorMode {
        let first = self.asked.as_ref().map(|asked| asked.mode);
        self.set.map(|(_, _, mode)| mode).or(first).unwrap_or_default()
    }
}

impl super::Call {
    /// The room in which customer and agent talk at this moment.
    #[must_use]
    pub fn talk(&self) -> Option<Talk> {
        self.fold.room.talk().filter(|_| !self.status.is_terminal())
    }

    /// A supervisor's leg that is not over.
    #[must_use]
    pub fn monitor_of(&self, user: UserId) -> Option<MonitorLeg> {
        let room = &self.fold.room;
        let legs = room.legs.iter().filter(|(_, life)| room.is_open(life));
        legs.filter_map(|(leg, life)| {
            let asked = life.asked.as_ref()?;
            matches!(leg, Leg::Monitor { user_id, .. } if *user_id == user).then(|| MonitorLeg {
                leg: *leg,
                sid: life.sid.clone(),
                room: asked.room.clone(),
                asked_at: asked.at,
            })
        })
        .next_back()
    }

    /// The next leg of a supervisor on this call.
    #[must_use]
    pub fn next_monitor(&self, user_id: UserId) -> Leg {
        let legs = self.fold.room.legs.keys();
        let numbers = legs.filter_map(|leg| match leg {
            Leg::Monitor {
                number,
                user_id: known,
            } if *known == user_id => Some(*number),
            Leg::Monitor { .. } | Leg::Customer | Leg::Agent { .. } => None,
        });
        let number = numbers.max().unwrap_or(0) + 1;
        Leg::Monitor { number, user_id }
    }

    /// Whether a leg was asked for under this `Idempotency-Key` already.
    #[must_use]
    pub fn was_asked_under(&self, key: &str) -> bool {
        let mut lives = self.fold.room.legs.values();
        lives.any(|life| {
            life.asked
                .as_ref()
                .is_some_and(|asked| asked.key.as_deref() == Some(key))
        })
    }

    /// Whether a leg was asked for and nothing more is known of it.
    #[must_use]
    pub fn is_in_doubt(&self, leg: Leg) -> bool {
        let life = self.fold.room.legs.get(&leg);
        life.is_some_and(|life| life.asked.is_some() && life.sid.is_none() && !life.ended)
    }

    /// The agent whom a customer waits for in their room although nobody is calling them, and since when: word of it was lost.
    #[must_use]
    pub fn forgotten(&self) -> Option<(Leg, Timestamp)> {
        let room = self
            .fold
            .room
            .current()
            .filter(|_| self.supervision == Supervision::Waiting)?;
        let customer = self.fold.room.legs.get(&Leg::Customer)?;
        let joined_at = customer.stays.get(room)?.joined_at?;
        let legs = self.fold.room.legs.iter();
        let asked = legs.filter_map(|(leg, life)| {
            let asked = life.asked.as_ref().filter(|asked| asked.room == *room)?;
            matches!(leg, Leg::Agent { .. }).then_some((*leg, asked.at, life))
        });
        let Some((leg, asked_at, life)) = asked.max_by_key(|(_, at, _)| *at) else {
            return Some((Leg::Agent { tries: 1, id: None }, joined_at));
        };
        let rings = life.sid.is_some() && !life.ended;
        (!rings).then_some((leg, joined_at.max(asked_at)))
    }

    /// Legs whose telephones were ringing for a room and that never joined one.
    #[must_use]
    pub fn ringing_for(&self, room: &RoomSid) -> Vec<CallSid> {
        let lives = self.fold.room.legs.values();
        let ringing = lives.filter(|life| {
            let is_for = life.asked.as_ref().is_some_and(|asked| asked.room == *room);
            is_for && life.stays.is_empty() && !life.ended
        });
        ringing.filter_map(|life| life.sid.clone()).collect()
    }

    /// What a change of ours to how a leg is heard is kept as: after everything that is known of it.
    #[must_use]
    pub fn set_anew(&self, leg: Leg, mode: MonitorMode) -> LegNews {
        let known = self.fold.room.legs.get(&leg).and_then(|life| life.set);
        let (sequence, ours) = known.map_or((0, 0), |(sequence, ours, _)| (sequence, ours));
        LegNews::Set {
            mode,
            sequence,
            ours: ours + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + second * 1_000)
    }

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 16])
    }

    fn listener() -> Leg {
        Leg::Monitor {
            number: 1,
            user_id: user(1),
        }
    }

    const AGENT: Leg = Leg::Agent { tries: 1, id: None };

    fn room() -> RoomSid {
        RoomSid::new("CF1")
    }

    fn joined(sid: &str) -> LegNews {
        LegNews::Joined {
            sid: CallSid::new(sid),
            room: room(),
        }
    }

    fn asked() -> LegNews {
        LegNews::Asked {
            room: room(),
            phone: "+14155550123".to_owned(),
            mode: MonitorMode::Listen,
            key: None,
        }
    }

    const fn set(mode: MonitorMode, sequence: u32, ours: u32) -> LegNews {
        LegNews::Set { mode, sequence, ours }
    }

    fn told(news: &[(Leg, LegNews)]) -> Room {
        let mut told = Room::default();
        for (second, (leg, news)) in (0..).zip(news) {
            told.take_in(*leg, news, at(second));
        }
        told
    }

    #[test]
    fn somebody_can_listen_once_customer_and_agent_are_in_the_room() {
        assert_eq!(told(&[]).supervision(), Supervision::Off);
        let mut news = vec![(Leg::Customer, joined("CA1")), (AGENT, asked())];
        assert_eq!(told(&news).supervision(), Supervision::Waiting);
        news.push((AGENT, joined("CA2")));
        let talk = told(&news).talk().expect("both are there");
        assert_eq!((talk.room, talk.agent), (room(), CallSid::new("CA2")));
        news.push((AGENT, LegNews::Left { room: room() }));
        assert_eq!(told(&news).supervision(), Supervision::Waiting);
    }

    #[test]
    fn a_supervisor_is_shown_from_the_ringing_to_the_leaving_and_muted_unless_said_otherwise() {
        let mut news = vec![(listener(), asked())];
        let shown = |news: &[(Leg, LegNews)]| {
            let monitors = told(news).monitors();
            monitors.first().map(|monitor| (monitor.state, monitor.mode))
        };
        assert_eq!(shown(&news), Some((MonitorState::Calling, MonitorMode::Listen)));
        news.push((listener(), joined("CA3")));
        assert_eq!(shown(&news), Some((MonitorState::On, MonitorMode::Listen)));
        news.push((listener(), set(MonitorMode::Barge, 7, 0)));
        // Ours was made after the report with the number 7; the report with 6 came late.
        news.push((listener(), set(MonitorMode::Whisper, 7, 1)));
        news.push((listener(), set(MonitorMode::Barge, 6, 2)));
        assert_eq!(shown(&news), Some((MonitorState::On, MonitorMode::Whisper)));
        news.push((listener(), set(MonitorMode::Listen, 8, 0)));
        assert_eq!(shown(&news), Some((MonitorState::On, MonitorMode::Listen)));
        for end in [LegNews::Left { room: room() }, LegNews::Ended] {
            let ended = [news.clone(), vec![(listener(), end)]].concat();
            assert_eq!(shown(&ended), None);
        }
        let mut closed = told(&news);
        closed.close(&room());
        assert_eq!(closed.monitors(), []);
    }

    fn any_news() -> impl Strategy<Value = (Leg, LegNews)> {
        let legs = prop::sample::select(vec![Leg::Customer, AGENT, listener()]);
        let modes = prop::sample::select(vec![
            MonitorMode::Listen,
            MonitorMode::Whisper,
            MonitorMode::Barge,
        ]);
        let news = prop_oneof![
            Just(asked()),
            "CA[1-2]".prop_map(|sid| LegNews::Made {
                sid: CallSid::new(sid)
            }),
            "CA[1-2]".prop_map(|sid| joined(&sid)),
            (modes, 0_u32..3, 0_u32..3).prop_map(|(mode, sequence, ours)| set(mode, sequence, ours)),
            Just(LegNews::Left { room: room() }),
            Just(LegNews::Ended),
        ];
        (legs, news)
    }

    type Timed = Vec<((Leg, LegNews), Timestamp)>;

    fn storm() -> impl Strategy<Value = (Timed, Timed)> {
        prop::collection::vec(any_news(), 1..12).prop_flat_map(|news| {
            let timed: Timed = news.into_iter().zip((0..).map(at)).collect();
            let doubled: Timed = timed.iter().chain(&timed).cloned().collect();
            (Just(timed), Just(doubled).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn order_and_repeats_do_not_matter((timed, shuffled) in storm()) {
            let fold = |news: &Timed| {
                let mut room = Room::default();
                for ((leg, news), at) in news {
                    room.take_in(*leg, news, *at);
                }
                room
            };
            prop_assert_eq!(fold(&timed), fold(&shuffled));
        }
    }
}
