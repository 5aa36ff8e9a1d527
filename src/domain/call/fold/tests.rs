//! Calls folded from facts.

mod any_order;

use super::*;
use crate::domain::{
    call::{AnsweredBy, Supervision},
    ids::{AccountId, CallId, CallSid, RoomSid},
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

fn joins(leg: Leg, sid: &str) -> CallFact {
    let (sid, room) = (CallSid::new(sid), RoomSid::new("CF1"));
    CallFact::Leg {
        leg,
        news: LegNews::Joined { sid, room },
    }
}

const AGENT: Leg = Leg::Agent { tries: 1, id: None };

#[test]
fn a_caller_alone_in_their_room_is_not_answered_and_an_end_empties_the_room() {
    let mut facts = vec![requested(Direction::Inbound), joins(Leg::Customer, "CA1")];
    let (waiting, _) = told(&facts);
    assert_eq!(
        (waiting.status, waiting.answered_at, waiting.supervision),
        (CallStatus::InProgress, None, Supervision::Waiting)
    );
    facts.push(joins(AGENT, "CA2"));
    let (talking, changes) = told(&facts);
    assert_eq!(changes, [CallChange::Answered]);
    assert_eq!(talking.supervision, Supervision::Ready);
    let user_id = crate::domain::ids::UserId::from_bytes([1; 16]);
    let monitor = Leg::Monitor { number: 1, user_id };
    facts.push(CallFact::Leg {
        leg: monitor,
        news: LegNews::Asked {
            room: RoomSid::new("CF1"),
            phone: "+14155550177".to_owned(),
            mode: crate::domain::call::MonitorMode::Listen,
            key: None,
        },
    });
    facts.push(joins(monitor, "CA3"));
    assert_eq!(told(&facts).0.monitors.len(), 1);
    facts.push(reported(CallStatus::Completed, 3));
    let (over, _) = told(&facts);
    assert_eq!((over.monitors, over.answered_at), (Vec::new(), Some(at(2))));
    assert_eq!(over.supervision, Supervision::Off);
}

#[test]
fn a_caller_is_forgotten_while_nobody_is_calling_the_agent_they_wait_for() {
    let mut facts = vec![requested(Direction::Inbound), joins(Leg::Customer, "CA1")];
    assert_eq!(told(&facts).0.forgotten(), Some((AGENT, at(1))));
    let of_agent = |news| CallFact::Leg { leg: AGENT, news };
    facts.push(of_agent(LegNews::Asked {
        room: RoomSid::new("CF1"),
        phone: "+14155550190".to_owned(),
        mode: crate::domain::call::MonitorMode::Barge,
        key: None,
    }));
    assert_eq!(
        told(&facts).0.forgotten(),
        Some((AGENT, at(2))),
        "it may never have been dialled"
    );
    facts.push(of_agent(LegNews::Made {
        sid: CallSid::new("CA2"),
    }));
    assert_eq!(told(&facts).0.forgotten(), None, "it rings");
    let ended = [facts.clone(), vec![of_agent(LegNews::Ended)]].concat();
    assert_eq!(told(&ended).0.forgotten(), Some((AGENT, at(2))));
    facts.push(joins(AGENT, "CA2"));
    assert_eq!(told(&facts).0.forgotten(), None, "they talk");
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
    let start = |name| CallFact::StreamStarted {
        stream: stream(name),
        inbound: None,
    };
    let (call, _) = told(&[start("MZ1"), cut, word, start("MZ2")]);
    assert_eq!((call.gaps, call.stream), (1, Some(stream("MZ2"))));
}

#[test]
fn a_call_should_be_heard_until_its_last_stream_was_ended_by_the_provider() {
    let start = |name, inbound| CallFact::StreamStarted {
        stream: stream(name),
        inbound: Some(inbound),
    };
    let over = |name| CallFact::StreamReportedOver { stream: stream(name) };
    let stop = |name, clean| CallFact::StreamStopped {
        stream: stream(name),
        clean,
    };
    let (agent, customer) = (Speaker::Agent, Speaker::Customer);
    assert_eq!(told(&[requested(Direction::Inbound)]).0.should_be_heard(), None);
    let open = [start("MZ1", agent)];
    assert_eq!(told(&open).0.should_be_heard(), Some(agent));
    // Its listener died: the provider's report is all that is heard of its end.
    let (call, _) = told(&[start("MZ1", agent), over("MZ1")]);
    assert_eq!(
        (call.should_be_heard(), call.stream, call.gaps),
        (Some(agent), None, 0)
    );
    let (call, _) = told(&[start("MZ1", agent), over("MZ1"), start("MZ2", customer)]);
    assert_eq!((call.should_be_heard(), call.gaps), (Some(customer), 1));
    assert_eq!(call.first_stream_began(), Some(at(0)));
    let (call, _) = told(&[start("MZ1", agent), stop("MZ1", false)]);
    assert_eq!((call.should_be_heard(), call.gaps), (Some(agent), 1));
    let (call, _) = told(&[start("MZ1", agent), stop("MZ1", true), over("MZ1")]);
    assert_eq!((call.should_be_heard(), call.gaps), (None, 0));
    let (call, _) = told(&[start("MZ1", agent), reported(CallStatus::Completed, 3)]);
    assert_eq!(call.should_be_heard(), None);
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
