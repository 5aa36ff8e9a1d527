//! Facts drawn at random, in any order and number: the record is the same, and nothing is told twice.

use proptest::{prelude::*, sample::select};

use super::*;

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
                inbound: Some(Speaker::Agent),
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
        inbound: None,
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
        select(vec![joins(Leg::Customer, "CA1"), joins(AGENT, "CA2")]),
        Just(CallFact::RoomClosed {
            room: RoomSid::new("CF1")
        }),
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
        (
            streams(),
            prop::option::of(select(vec![Speaker::Customer, Speaker::Agent]))
        )
            .prop_map(|(stream, inbound)| CallFact::StreamStarted { stream, inbound }),
        streams().prop_map(|stream| CallFact::StreamReportedOver { stream }),
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
