//! `patchcord transcribe --live N`: recordings played at the pace of speech, as N calls at once, through what live calls use.
//!
//! In: one recording for the caller and, if there is one, one for the agent, 8 kHz. Out: a line of JSON per final with the time
//! at which it was known, so that delays can be measured; then one line with what was shed and how many frames waited too long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    actors::{
        asr::AsrHandle,
        hearing::{self, Heard, TrackSpeakers},
    },
    domain::audio::{Speaker, Track},
    media::{frame::AudioFrame, mulaw},
};

const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: usize = 160;
/// Frames of one call that may wait for its listener.
const FRAMES_MAX: usize = 256;
/// So many waiting frames of both tracks are 100 ms.
const LATE_FRAMES: usize = 10;
/// Calls begin their recordings this far apart, so that they do not all pause at once.
const STAGGER_SAMPLES: usize = 13 * 8_000;

#[derive(Serialize)]
struct Line<'a> {
    call: usize,
    speaker: &'a str,
    start_ms: u64,
    end_ms: u64,
    text: &'a str,
    /// When it was known, from the start of the stream.
    known_ms: u64,
    /// Where in the recording the stream started.
    offset_ms: usize,
}

#[derive(Serialize)]
struct Summary {
    calls: usize,
    seconds: u64,
    partials: u64,
    shed: u64,
    /// Frames that found 100 ms of audio waiting before them.
    late_frames: u64,
}

/// What all calls play.
pub struct Play {
    pub calls: usize,
    pub seconds: u64,
    pub caller: Arc<[i16]>,
    /// Silence when absent.
    pub agent: Option<Arc<[i16]>>,
}

/// Plays it and prints what is heard.
///
/// # Errors
/// Those of starting the runtime and of printing.
pub fn run(play: Play, asr: &AsrHandle) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let play = Arc::new(play);
        let counts = Arc::new(Counts::default());
        let mut calls = JoinSet::new();
        for call in 0..play.calls {
            calls.spawn(play_call(call, play.clone(), asr.clone(), counts.clone()));
        }
        while let Some(ended) = calls.join_next().await {
            ended?;
        }
        let summary = Summary {
            calls: play.calls,
            seconds: play.seconds,
            partials: counts.partials.load(Ordering::Relaxed),
            shed: counts.shed.load(Ordering::Relaxed),
            late_frames: counts.late_frames.load(Ordering::Relaxed),
        };
        println!("{}", serde_json::to_string(&summary)?);
        Ok(())
    })
}

#[derive(Default)]
struct Counts {
    partials: AtomicU64,
    shed: AtomicU64,
    late_frames: AtomicU64,
}

async fn play_call(call: usize, play: Arc<Play>, asr: AsrHandle, counts: Arc<Counts>) {
    let (frames, received) = mpsc::channel(FRAMES_MAX);
    let speakers = TrackSpeakers {
        inbound: Speaker::Customer,
        outbound: Speaker::Agent,
    };
    let offset = call * STAGGER_SAMPLES;
    // Calls do not tick together either.
    tokio::time::sleep(Duration::from_millis(u64::try_from(call * 7 % 20).unwrap_or(0))).await;
    let began = Instant::now();
    let (told, offset_ms) = (counts.clone(), offset / 8);
    let listening = hearing::start(speakers, asr, received, move |heard| match heard {
        Heard::Final {
            speaker,
            text,
            start_ms,
            end_ms,
        } => {
            let known_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let line = Line {
                call,
                speaker: speaker.as_str(),
                start_ms,
                end_ms,
                text: &text,
                known_ms,
                offset_ms,
            };
            println!(
                "{}",
                serde_json::to_string(&line).expect("plain fields become JSON")
            );
        }
        Heard::Partial { .. } => drop(told.partials.fetch_add(1, Ordering::Relaxed)),
        Heard::Shed { .. } => drop(told.shed.fetch_add(1, Ordering::Relaxed)),
        Heard::Gap { .. } | Heard::Ended => (),
    });
    let mut ticks = tokio::time::interval(FRAME);
    let mut at = offset;
    for chunk in 1..=play.seconds * 50 {
        ticks.tick().await;
        for (track, recording) in [
            (Track::Inbound, Some(&play.caller)),
            (Track::Outbound, play.agent.as_ref()),
        ] {
            let waiting = FRAMES_MAX - frames.capacity();
            counts
                .late_frames
                .fetch_add(u64::from(waiting > LATE_FRAMES), Ordering::Relaxed);
            let payload = payload(recording, at);
            let frame = AudioFrame {
                track,
                timestamp_ms: (chunk - 1) * 20,
                chunk,
                payload,
                received: Instant::now(),
            };
            if frames.send(frame).await.is_err() {
                return;
            }
        }
        at += FRAME_SAMPLES;
    }
    drop(frames);
    if let Err(error) = listening.await {
        eprintln!("call {call} was not heard to its end: {error}");
    }
}

/// One frame of a recording that begins again at its end.
fn payload(recording: Option<&Arc<[i16]>>, at: usize) -> Vec<u8> {
    match recording.filter(|samples| !samples.is_empty()) {
        None => vec![mulaw::SILENCE; FRAME_SAMPLES],
        Some(samples) => (at..at + FRAME_SAMPLES)
            .map(|n| mulaw::encode(samples[n % samples.len()]))
            .collect(),
    }
}
