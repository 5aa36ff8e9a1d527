//! Measures what hearing costs: each part alone, in time per second of audio or per utterance.
//!
//! `cargo bench --bench audio`. The whole, with accuracy and delays, is `scripts/bench-speech`.

use std::{hint::black_box, path::Path, time::Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use patchcord::{
    domain::audio::Track,
    media::{
        frame::AudioFrame,
        model_files, mulaw,
        pipeline::{Rate, Speech, TrackEvent, TrackPipeline},
        recogniser::{Effort, Recogniser as _},
        resample,
        segmenter::Segmenter,
        vad::{self, Vad},
        whisper::WhisperModel,
    },
};

/// One second of something that rises and falls like speech.
#[expect(clippy::cast_possible_truncation, reason = "the level stays within 9,000")]
fn lively() -> Vec<i16> {
    let level = |n: usize| (n % 2_000) as f32 / 2_000.0 * 9_000.0;
    (0..8_000)
        .map(|n| (level(n) * (n as f32 * 0.31).sin() * (n as f32 * 0.017).cos()) as i16)
        .collect()
}

fn frames(samples: &[i16]) -> Vec<AudioFrame> {
    (0_u64..)
        .zip(samples.chunks(160))
        .map(|(n, chunk)| AudioFrame {
            track: Track::Inbound,
            timestamp_ms: n * 20,
            chunk: n + 1,
            payload: chunk.iter().map(|&s| mulaw::encode(s)).collect(),
            received: Instant::now(),
        })
        .collect()
}

fn parts(c: &mut Criterion) {
    let samples = lively();
    let coded: Vec<u8> = samples.iter().map(|&s| mulaw::encode(s)).collect();
    let speech = resample::upsample(&samples);
    let mut group = c.benchmark_group("one second of one track");
    group.throughput(Throughput::Elements(1));
    group.bench_function("mulaw decode", |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(8_000);
            mulaw::decode_into(black_box(&coded), &mut out);
            out
        });
    });
    group.bench_function("resample to 16 kHz", |b| {
        b.iter(|| resample::upsample(black_box(&samples)))
    });
    group.bench_function("voice activity, network", |b| {
        let mut vad = Vad::new();
        b.iter(|| {
            let windows = black_box(&speech).chunks_exact(vad::WINDOW);
            windows
                .map(|w| vad.probability(w.try_into().expect("exact chunks")))
                .sum::<f32>()
        });
    });
    group.bench_function("segmenter", |b| {
        let (mut segmenter, mut cues) = (Segmenter::default(), Vec::new());
        b.iter(|| {
            for n in 0..31 {
                segmenter.push(if n % 31 < 12 { 0.9 } else { 0.1 }, &mut cues);
            }
            cues.clear();
        });
    });
    for (name, signal) in [
        ("pipeline, silence", vec![0; 8_000]),
        ("pipeline, sound", samples.clone()),
    ] {
        let mut second = frames(&signal);
        group.bench_function(name, |b| {
            let (mut pipeline, mut events): (_, Vec<TrackEvent>) =
                (TrackPipeline::new(Rate::Telephone), Vec::new());
            let mut passed = 0;
            b.iter(|| {
                for frame in &mut second {
                    frame.chunk += passed * 50;
                    frame.timestamp_ms += passed * 1_000;
                    pipeline.push_frame(frame, &mut events);
                }
                passed = 1;
                events.clear();
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let directory = std::env::var("PATCHCORD_ASR__MODELS_DIR").unwrap_or_else(|_| "data/models".to_owned());
    let path = model_files::path_of("tiny.en", Path::new(&directory)).expect("a name we know");
    let Ok(model) = WhisperModel::load(&path) else {
        println!(
            "decode: skipped, no speech model at {} (patchcord model fetch tiny.en)",
            path.display()
        );
        return;
    };
    let mut recogniser = model.recogniser().expect("there is memory for one");
    let samples: Vec<i16> = (0..3).flat_map(|_| lively()).collect();
    let speech = Speech {
        samples: samples.into(),
        rate: Rate::Telephone,
        start_ms: 0,
        end_ms: 3_000,
        confidence: 1.0,
    };
    let mut group = c.benchmark_group("utterance");
    group.sample_size(10);
    group.bench_function("decode 3 s", |b| {
        b.iter(|| {
            recogniser
                .recognise(&speech, Effort::Partial)
                .expect("it decodes")
        })
    });
    group.finish();
}

criterion_group!(benches, parts, decode);
criterion_main!(benches);
