//! Loops: each item of a `for_each` is a frame, and the tokens that work on it carry its number.
//!
//! A frame ends when no token carries it. The loop's own token stands at the loop meanwhile; it begins the next item when
//! fewer than `concurrency` are under way and `throttle` has passed, and goes on by `ok` after the last one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    definition::{OnError, PORT_OK},
    journal::Entry,
    mover::Mover,
    run::{Alarm, Run, TokenState, Way},
    snapshot::{Kept, is_zero, millis},
};
use crate::domain::{ids::LeadId, time::Timestamp};

/// Port into a loop's body.
pub const PORT_ITEM: &str = "item";
/// Most items of one loop.
pub const ITEMS_MAX: usize = 5_000;
/// Largest list of items, in bytes of JSON: it is part of the run's state until they are done.
pub const ITEMS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Nodes one input may begin before a loop takes a breath, so that other runs get their turn.
const NODES_BEFORE_BREATH: u32 = 300;
/// Failures of items that the loop's output names.
const ERRORS_MAX: usize = 10;

/// One item under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    /// The loop's token.
    #[serde(rename = "l")]
    pub owner: u32,
    /// The frame the loop itself stands in.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub index: u32,
    #[serde(rename = "i")]
    pub item: Kept,
    /// Nodes begun for it.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    pub nodes: u32,
    /// The item has failed: what is on its way is waited for, nothing further is begun.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// `steps.<id>.output` of the body's nodes, for this item.
    #[serde(rename = "o", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Kept>,
}

/// A loop that has items to work on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Looping {
    #[serde(rename = "i")]
    pub items: Items,
    /// Items begun.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub begun: u32,
    #[serde(rename = "d", default, skip_serializing_if = "is_zero")]
    pub done: u32,
    #[serde(rename = "x", default, skip_serializing_if = "is_zero")]
    pub failed: u32,
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Value>,
    /// When the last item was begun: the throttle counts from here.
    #[serde(rename = "s", with = "millis")]
    pub begun_at: Timestamp,
    /// When the next item may begin.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
}

/// The items that have not begun: here, or in a part of the run that holds all of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredItems", into = "StoredItems")]
pub(super) struct Items {
    list: Kept,
    next: usize,
    part: Option<u32>,
}

/// Items as the snapshot has them.
#[derive(Serialize, Deserialize)]
struct StoredItems {
    /// Those that have not begun.
    #[serde(rename = "i", default, skip_serializing_if = "Vec::is_empty")]
    rest: Vec<Value>,
    /// The part that holds all of them, and how many of those have begun.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    part: Option<(u32, usize)>,
}

/// How far a loop is, for the run's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LoopProgress {
    /// The loop's node.
    pub node: String,
    pub total: u32,
    /// Items that came to their end.
    pub done: u32,
    /// Items that failed.
    pub failed: u32,
}

impl Items {
    pub(super) const fn new(list: Kept, part: Option<u32>) -> Self {
        Self { list, next: 0, part }
    }

    pub(super) const fn part(&self) -> Option<u32> {
        self.part
    }

    pub(super) fn fill(&mut self, list: &Kept) {
        self.list = list.clone();
    }

    fn rest(&self) -> &[Value] {
        let all = self.list.0.as_array().map_or(&[][..], Vec::as_slice);
        all.get(self.next..).unwrap_or_default()
    }

    fn take(&mut self) -> Option<Value> {
        let item = self.rest().first().cloned()?;
        self.next += 1;
        Some(item)
    }
}

impl PartialEq for Items {
    /// The same are those with the same left to do.
    fn eq(&self, other: &Self) -> bool {
        self.part == other.part && self.rest() == other.rest()
    }
}

impl From<Items> for StoredItems {
    fn from(items: Items) -> Self {
        match items.part {
            Some(part) => Self {
                rest: Vec::new(),
                part: Some((part, items.next)),
            },
            None => Self {
                rest: items.rest().to_vec(),
                part: None,
            },
        }
    }
}

impl From<StoredItems> for Items {
    fn from(stored: StoredItems) -> Self {
        match stored.part {
            Some((part, next)) => Self {
                list: Kept::new(Value::Null),
                next,
                part: Some(part),
            },
            None => Self::new(Kept::new(Value::Array(stored.rest)), None),
        }
    }
}

impl Looping {
    const fn new(items: Items, now: Timestamp) -> Self {
        Self {
            items,
            begun: 0,
            done: 0,
            failed: 0,
            errors: Vec::new(),
            begun_at: now,
            alarm: None,
        }
    }

    fn total(&self) -> u32 {
        self.begun + u32::try_from(self.items.rest().len()).unwrap_or(u32::MAX)
    }
}

impl Run {
    /// How far the run's loops are.
    #[must_use]
    pub fn loops(&self) -> Vec<LoopProgress> {
        self.tokens
            .values()
            .filter_map(|token| match &token.state {
                TokenState::Looping(looping) => Some(LoopProgress {
                    node: token.node.clone(),
                    total: looping.total(),
                    done: looping.done,
                    failed: looping.failed,
                }),
                _ => None,
            })
            .collect()
    }

    /// The frames around a place, the innermost first.
    pub(super) fn frames_around(&self, frame: Option<u32>) -> impl Iterator<Item = &Frame> {
        std::iter::successors(frame.and_then(|number| self.frames.get(&number)), |frame| {
            frame.parent.and_then(|number| self.frames.get(&number))
        })
    }

    /// The lead that a place is about: the innermost item that is a lead, else the run's.
    pub(super) fn lead_id_in(&self, frame: Option<u32>) -> Option<LeadId> {
        self.frames_around(frame)
            .find_map(|frame| lead_id_of(&frame.item.0))
            .or(self.ids.lead)
    }
}

/// The id of an item that is a lead.
pub(super) fn lead_id_of(item: &Value) -> Option<LeadId> {
    item.get("id")?.as_str()?.parse().ok()
}

impl Mover<'_> {
    /// Ends items and begins further ones. Returns whether the run has moved by it.
    pub(super) fn advance_loops(&mut self) -> bool {
        let loops: Vec<u32> = self
            .run
            .tokens
            .iter()
            .filter(|(_, token)| matches!(token.state, TokenState::Looping(_)))
            .map(|(number, _)| *number)
            .collect();
        // Of loops that ended with the item they stood in.
        for orphan in self.frames_over(|frame| !loops.contains(&frame.owner)) {
            self.run.frames.remove(&orphan);
            self.touch();
        }
        let mut moved = false;
        for number in loops {
            moved |= self.end_items(number);
            moved |= self.begin_item(number) || self.end_loop(number);
        }
        moved
    }

    /// Ends the items of a loop that no token works on any more.
    fn end_items(&mut self, number: u32) -> bool {
        let over = self.frames_over(|frame| frame.owner == number);
        for frame in &over {
            let Some(about) = self.run.frames.remove(frame) else {
                continue;
            };
            self.forget_scope(Some(*frame));
            if let Some(looping) = self.looping(number) {
                if about.failed {
                    looping.failed += 1;
                } else {
                    looping.done += 1;
                }
            }
        }
        if !over.is_empty() {
            self.touch();
        }
        !over.is_empty()
    }

    /// Frames that fit and that no token works in.
    fn frames_over(&self, fits: impl Fn(&Frame) -> bool) -> Vec<u32> {
        let busy = |frame: u32| {
            let mut tokens = self.run.tokens.values();
            tokens.any(|token| self.is_within(token.way.frame, frame))
        };
        self.run
            .frames
            .iter()
            .filter(|(number, frame)| fits(frame) && !busy(**number))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Begins the next item if its time has come. A later time is set as a timer, and then only that timer goes on: an
    /// input that happens to come first would otherwise find nodes begun behind it that its repetition finds waiting.
    fn begin_item(&mut self, number: u32) -> bool {
        let Some((way, pace)) = self.run.tokens.get(&number).and_then(|token| {
            let pace = self.plan.node(&token.node)?.node.pace()?;
            self.is_live(token.way.frame).then(|| (token.way.clone(), pace))
        }) else {
            return false;
        };
        let under_way = self.run.frames.values().filter(|frame| frame.owner == number);
        let under_way = u32::try_from(under_way.count()).unwrap_or(u32::MAX);
        let (now, needs_breath) = (self.world.now, self.begun() >= NODES_BEFORE_BREATH);
        let Some(looping) = self.looping(number) else {
            return false;
        };
        let is_full = under_way >= pace.concurrency;
        if looping.items.rest().is_empty() || is_full || looping.alarm.is_some() {
            return false;
        }
        let is_first = looping.begun == 0;
        let may_begin_at = if is_first {
            now
        } else {
            looping.begun_at.plus(pace.throttle)
        };
        if may_begin_at > now || needs_breath {
            let alarm = self.set_timer(may_begin_at.max(now));
            if let Some(looping) = self.looping(number) {
                looping.alarm = Some(alarm);
            }
            return false;
        }
        let (index, item) = (looping.begun, looping.items.take());
        looping.begun += 1;
        looping.begun_at = now;
        let Some(item) = item else { return false };
        let frame = self.number();
        self.run.frames.insert(
            frame,
            Frame {
                owner: number,
                parent: way.frame,
                index,
                item: Kept::new(item),
                nodes: 0,
                failed: false,
                outputs: BTreeMap::new(),
            },
        );
        self.count_begun();
        let plan = self.plan;
        let body = self
            .run
            .tokens
            .get(&number)
            .and_then(|token| plan.node(&token.node))
            .map_or(&[][..], |planned| planned.behind(PORT_ITEM));
        let inside = Way {
            frame: Some(frame),
            ..Way::default()
        };
        self.go(body, &inside);
        true
    }

    /// Goes on by `ok` after the last item.
    fn end_loop(&mut self, number: u32) -> bool {
        let under_way = self.run.frames.values().any(|frame| frame.owner == number);
        let is_over = self
            .looping(number)
            .is_some_and(|looping| looping.items.rest().is_empty());
        if under_way || !is_over {
            return false;
        }
        let Some(token) = self.take(number) else {
            return false;
        };
        let TokenState::Looping(looping) = &token.state else {
            return false;
        };
        let output = json!({"count": looping.begun, "failed": looping.failed, "errors": looping.errors});
        self.leave(&token, PORT_OK, output, None);
        true
    }

    /// The timer of a token rang: if it is a loop's, the next item is looked at when the step ends. Returns whether it is.
    pub(super) fn loop_woken(&mut self, number: u32) -> bool {
        let Some(looping) = self.looping(number) else {
            return false;
        };
        let alarm = looping.alarm.take();
        self.clear(alarm);
        true
    }

    /// The frame that fails instead of the run when a node in `frame` does: the innermost whose loop goes on after failures.
    pub(super) fn failing_frame(&self, frame: Option<u32>) -> Option<u32> {
        let mut at = frame;
        while let Some(number) = at {
            let about = self.run.frames.get(&number)?;
            let goes_on = self
                .run
                .tokens
                .get(&about.owner)
                .and_then(|token| self.plan.node(&token.node))
                .is_some_and(|planned| planned.on_error == OnError::Continue);
            if goes_on {
                return Some(number);
            }
            at = about.parent;
        }
        None
    }

    /// Ends one item as failed: what waits in it is dropped, what is on its way is waited for.
    pub(super) fn fail_frame(&mut self, number: u32, message: &str) {
        let Some(frame) = self.run.frames.get_mut(&number) else {
            return;
        };
        frame.failed = true;
        let (owner, index) = (frame.owner, frame.index);
        if let Some(looping) = self.looping(owner)
            && looping.errors.len() < ERRORS_MAX
        {
            looping.errors.push(json!({"index": index, "message": message}));
        }
        self.touch();
        self.drop_waiting(Some(number));
    }

    /// Whether a place lies within a frame.
    pub(super) fn is_within(&self, place: Option<u32>, frame: u32) -> bool {
        let mut at = place;
        while let Some(number) = at {
            if number == frame {
                return true;
            }
            at = self.run.frames.get(&number).and_then(|about| about.parent);
        }
        false
    }

    fn looping(&mut self, number: u32) -> Option<&mut Looping> {
        match &mut self.run.tokens.get_mut(&number)?.state {
            TokenState::Looping(looping) => Some(looping),
            _ => None,
        }
    }

    /// A loop begins; its items do when the step ends.
    pub(super) fn begin_loop(&mut self, begun: Begun, way: &Way, items: Vec<Value>) {
        let (node, visit) = (begun.node.clone(), begun.visit);
        self.note_waiting(begun, None);
        let items = self.items_of(Kept::new(Value::Array(items)));
        let looping = Box::new(Looping::new(items, self.world.now));
        self.place(&node, visit, way.clone(), TokenState::Looping(looping));
    }

    /// The index of the item that a place works on.
    pub(super) fn item_of(&self, way: &Way) -> Option<u32> {
        way.frame
            .and_then(|number| self.run.frames.get(&number))
            .map(|frame| frame.index)
    }

    /// Journals a node that began to wait.
    pub(super) fn note_waiting(&mut self, begun: Begun, until: Option<Timestamp>) {
        let Begun {
            node,
            kind,
            visit,
            item,
            input,
        } = begun;
        self.note(Entry::NodeWaiting {
            node,
            kind,
            visit,
            item,
            input,
            until,
        });
    }
}

/// A node that was entered, for the journal.
pub(super) struct Begun {
    pub node: String,
    pub kind: String,
    pub visit: u32,
    pub item: Option<u32>,
    pub input: Value,
}
