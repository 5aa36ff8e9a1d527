//! One track from frames to utterances.
//!
//! In: a call's frames (or a file's samples) in order of arrival. Out: [`TrackEvent`]s; times are milliseconds from the start
//! of the stream. The same code serves live calls and files. Pure: no I/O, no clock, no tasks; memory is bounded by the
//! longest utterance (15 s of samples).

pub use super::speech::{Rate, Speech, TrackEvent};
use super::{
    frame::AudioFrame,
    mulaw,
    resample::Upsampler,
    segmenter::{Cue, Segmenter, Span, WINDOW_MS},
    vad::{self, Vad},
};

/// Windows in a row that are surely silent before the detector rests: a pause within an utterance is never skipped.
const REST_WINDOWS: u32 = 16;
/// A timestamp may be ahead of the samples by this much before it means missing audio.
const JITTER_MS: u64 = 60;
/// A hole longer than this ends the utterance before it; a shorter one is filled with silence.
const FILL_MS_MAX: u64 = 1_000;

/// Follows one track.
pub struct TrackPipeline {
    rate: Rate,
    vad: Vad,
    upsampler: Upsampler,
    segmenter: Segmenter,
    /// Samples from `kept_from` on.
    samples: Vec<i16>,
    kept_from: u64,
    /// Windows handed to the detector or skipped.
    windows: u64,
    /// The window at hand at 16 kHz.
    speech: Vec<f32>,
    silent_windows: u32,
    last_chunk: u64,
    paused: Option<Speech>,
    cues: Vec<Cue>,
}

impl TrackPipeline {
    /// Returns a pipeline for samples of this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            vad: Vad::new(),
            upsampler: Upsampler::prompt(),
            segmenter: Segmenter::default(),
            samples: Vec::new(),
            kept_from: 0,
            windows: 0,
            speech: Vec::new(),
            silent_windows: 0,
            last_chunk: 0,
            paused: None,
            cues: Vec::new(),
        }
    }

    /// Takes the next frame of a live track, which is at 8 kHz; late and repeated frames change nothing.
    pub fn push_frame(&mut self, frame: &AudioFrame, events: &mut Vec<TrackEvent>) {
        self.push_media(frame.chunk, frame.timestamp_ms, &frame.payload, events);
    }

    fn push_media(&mut self, chunk: u64, timestamp_ms: u64, payload: &[u8], events: &mut Vec<TrackEvent>) {
        if chunk <= self.last_chunk && self.last_chunk != 0 {
            return;
        }
        let lost = self.last_chunk != 0 && chunk > self.last_chunk + 1;
        let first = self.last_chunk == 0;
        self.last_chunk = chunk;
        let heard_ms = self.position() / self.rate.samples_per_ms();
        let ahead_ms = timestamp_ms.saturating_sub(heard_ms);
        if first {
            self.skip_to(timestamp_ms);
        } else if (lost && ahead_ms > 0) || ahead_ms > JITTER_MS {
            self.bridge(heard_ms, timestamp_ms, events);
        }
        mulaw::decode_into(payload, &mut self.samples);
        self.advance(events);
    }

    /// Takes the next samples of a file.
    pub fn push_samples(&mut self, samples: &[i16], events: &mut Vec<TrackEvent>) {
        self.samples.extend_from_slice(samples);
        self.advance(events);
    }

    /// Ends what is going on: no more audio comes.
    pub fn finish(&mut self, events: &mut Vec<TrackEvent>) {
        // The last, unfinished window counts as one: fill it.
        let left = self.ahead() % self.rate.window();
        if left > 0 {
            let filled = self.samples.len() + self.rate.window() - left;
            self.samples.resize(filled, 0);
            self.advance(events);
        }
        self.segmenter.finish(&mut self.cues);
        self.drain(events);
    }

    /// Samples received, lost ones included.
    fn position(&self) -> u64 {
        self.kept_from + count(self.samples.len())
    }

    /// Samples received that no window has covered yet.
    fn ahead(&self) -> usize {
        let covered = self.windows * count(self.rate.window());
        usize::try_from(self.position() - covered).expect("the samples ahead are in memory")
    }

    /// Audio between two times never came: silence takes its place.
    fn bridge(&mut self, from_ms: u64, to_ms: u64, events: &mut Vec<TrackEvent>) {
        events.push(TrackEvent::Gap { from_ms, to_ms });
        let missing_ms = to_ms - from_ms;
        if missing_ms <= FILL_MS_MAX {
            let missing = usize::try_from(missing_ms * self.rate.samples_per_ms()).expect("at most a second");
            self.samples
                .resize(self.samples.len() + missing, mulaw::decode(mulaw::SILENCE));
            self.advance(events);
            return;
        }
        self.finish(events);
        self.skip_to(to_ms);
    }

    /// Goes on at `time_ms` without looking at what lies before.
    fn skip_to(&mut self, time_ms: u64) {
        let target = time_ms * self.rate.samples_per_ms();
        if target <= self.position() {
            return;
        }
        let window = count(self.rate.window());
        self.windows = target / window;
        self.segmenter.jump(self.windows);
        self.kept_from = self.windows * window;
        self.samples.clear();
        let offset = usize::try_from(target % window).expect("less than a window");
        self.samples.resize(offset, 0);
        self.upsampler = Upsampler::prompt();
        self.speech.clear();
        self.vad = Vad::new();
    }

    /// Hands every full window to the detector.
    fn advance(&mut self, events: &mut Vec<TrackEvent>) {
        let window = self.rate.window();
        while self.ahead() >= window {
            let at = self.samples.len() - self.ahead();
            self.windows += 1;
            let probability = self.probability(at..at + window);
            self.segmenter.push(probability, &mut self.cues);
            self.drain(events);
        }
        self.forget();
    }

    fn probability(&mut self, range: std::ops::Range<usize>) -> f32 {
        let samples = &self.samples[range];
        self.silent_windows = if vad::is_surely_silent(samples) {
            self.silent_windows + 1
        } else {
            0
        };
        if self.silent_windows > REST_WINDOWS && self.segmenter.is_idle() {
            self.vad.skip();
            return 0.0;
        }
        match self.rate {
            Rate::Telephone => self.upsampler.push(samples, &mut self.speech),
            Rate::Speech => self
                .speech
                .extend(samples.iter().map(|&s| f32::from(s) / 32_768.0)),
        }
        let ready = self
            .speech
            .first_chunk()
            .expect("a window at either rate is a window at 16 kHz");
        let probability = self.vad.probability(ready);
        self.speech.clear();
        probability
    }

    fn drain(&mut self, events: &mut Vec<TrackEvent>) {
        let mut cues = std::mem::take(&mut self.cues);
        for cue in cues.drain(..) {
            events.push(self.event(cue));
        }
        self.cues = cues;
    }

    fn event(&mut self, cue: Cue) -> TrackEvent {
        match cue {
            Cue::Began { window } => TrackEvent::Began {
                start_ms: window * WINDOW_MS,
            },
            Cue::Paused(span) => {
                let speech = self.cut_out(&span);
                self.paused = Some(speech.clone());
                TrackEvent::Paused(speech)
            }
            Cue::WentOn => {
                self.paused = None;
                TrackEvent::WentOn
            }
            Cue::Ended(span) => match self.paused.take() {
                Some(speech) => TrackEvent::Ended {
                    speech,
                    decoded: true,
                },
                None => TrackEvent::Ended {
                    speech: self.cut_out(&span),
                    decoded: false,
                },
            },
            Cue::Dismissed => {
                self.paused = None;
                TrackEvent::Dismissed
            }
            Cue::Due(span) => TrackEvent::Due(self.cut_out(&span)),
        }
    }

    fn cut_out(&self, span: &Span) -> Speech {
        let window = count(self.rate.window());
        let place = |at: u64| {
            let inside = (at * window).saturating_sub(self.kept_from);
            usize::try_from(inside).map_or(self.samples.len(), |n| n.min(self.samples.len()))
        };
        Speech {
            samples: self.samples[place(span.from)..place(span.to)].into(),
            rate: self.rate,
            start_ms: span.speech_from * WINDOW_MS,
            end_ms: span.speech_to * WINDOW_MS,
            confidence: span.confidence,
        }
    }

    /// Drops samples nobody will ask for.
    fn forget(&mut self) {
        let wanted = self.segmenter.keep_from() * count(self.rate.window());
        let surplus =
            usize::try_from(wanted.saturating_sub(self.kept_from)).map_or(0, |n| n.min(self.samples.len()));
        // Moving the rest costs more than keeping a second.
        if surplus > 8_000 {
            self.samples.drain(..surplus);
            self.kept_from += count(surplus);
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A made voice at 8 kHz that the detector takes for speech (see `assets/vad/reference.json`), 1.5 s.
    fn voice() -> Vec<u8> {
        use base64::Engine as _;
        let json: serde_json::Value = serde_json::from_str(include_str!("../../assets/vad/reference.json"))
            .expect("the fixture is JSON");
        base64::engine::general_purpose::STANDARD
            .decode(json["mulaw_base64"].as_str().expect("samples"))
            .expect("the samples are base64")
    }

    fn silence(ms: usize) -> Vec<u8> {
        vec![mulaw::SILENCE; ms * 8]
    }

    /// What of a frame the pipeline looks at.
    #[derive(Clone)]
    struct Media {
        timestamp_ms: u64,
        chunk: u64,
        payload: Vec<u8>,
    }

    fn frames(bytes: &[u8]) -> Vec<Media> {
        (0_u64..)
            .zip(bytes.chunks(160))
            .map(|(n, payload)| Media {
                timestamp_ms: n * 20,
                chunk: n + 1,
                payload: payload.to_vec(),
            })
            .collect()
    }

    fn run(frames: &[Media]) -> Vec<TrackEvent> {
        let mut pipeline = TrackPipeline::new(Rate::Telephone);
        let mut events = Vec::new();
        for frame in frames {
            pipeline.push_media(frame.chunk, frame.timestamp_ms, &frame.payload, &mut events);
        }
        pipeline.finish(&mut events);
        events
    }

    fn utterances(events: &[TrackEvent]) -> Vec<Speech> {
        events
            .iter()
            .filter_map(|e| {
                if let TrackEvent::Ended { speech, .. } = e {
                    Some(speech.clone())
                } else {
                    None
                }
            })
            .collect()
    }

    fn call() -> Vec<u8> {
        [silence(2_000), voice(), silence(1_500), voice(), silence(1_000)].concat()
    }

    #[test]
    fn each_voice_is_one_utterance_with_its_times() {
        let found = utterances(&run(&frames(&call())));
        assert_eq!(found.len(), 2, "{found:?}");
        for (speech, true_start) in found.iter().zip([2_000_u64, 5_000]) {
            assert!(
                speech.start_ms.abs_diff(true_start) < 130,
                "began at {}",
                speech.start_ms
            );
            assert!(
                speech.end_ms.abs_diff(true_start + 1_500) < 130,
                "ended at {}",
                speech.end_ms
            );
            let length_ms = count(speech.samples.len()) / 8;
            let lead_and_tail = length_ms - (speech.end_ms - speech.start_ms);
            assert!(lead_and_tail >= 200 + 150, "{lead_and_tail} ms around the speech");
        }
    }

    #[test]
    fn the_pause_has_the_audio_that_the_end_has() {
        let events = run(&frames(&call()));
        let paused: Vec<&Speech> = events
            .iter()
            .filter_map(|e| {
                if let TrackEvent::Paused(s) = e {
                    Some(s)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(
            paused.last().map(|s| s.samples.clone()),
            utterances(&events).last().map(|s| s.samples.clone())
        );
        assert!(
            events
                .iter()
                .any(|e| matches!(e, TrackEvent::Ended { decoded: true, .. }))
        );
    }

    #[test]
    fn silence_brings_nothing_and_keeps_nothing() {
        let mut pipeline = TrackPipeline::new(Rate::Telephone);
        let mut events = Vec::new();
        for frame in frames(&silence(60_000)) {
            pipeline.push_media(frame.chunk, frame.timestamp_ms, &frame.payload, &mut events);
        }
        assert_eq!(events, []);
        assert!(pipeline.samples.len() < 8_000 * 3);
        assert!(pipeline.speech.len() <= 2 * vad::WINDOW);
    }

    #[test]
    fn late_and_repeated_frames_change_nothing() {
        let plain = frames(&call());
        let mut twice = Vec::new();
        for (n, frame) in plain.iter().enumerate() {
            twice.push(frame.clone());
            twice.push(frame.clone());
            twice.push(plain[n.saturating_sub(5)].clone());
        }
        assert_eq!(run(&plain), run(&twice));
    }

    #[test]
    fn a_short_loss_is_filled_so_that_times_stay_true() {
        let mut lossy = frames(&call());
        lossy.drain(40..50);
        let events = run(&lossy);
        assert!(events.contains(&TrackEvent::Gap {
            from_ms: 800,
            to_ms: 1_000
        }));
        let (with, without) = (utterances(&events), utterances(&run(&frames(&call()))));
        assert_eq!(with.len(), without.len());
        assert!(
            with.iter()
                .zip(&without)
                .all(|(a, b)| a.start_ms == b.start_ms && a.end_ms == b.end_ms)
        );
    }

    #[test]
    fn a_long_hole_ends_the_utterance_before_it() {
        let mut lossy = frames(&call());
        // The first voice is cut in two, and ten minutes are missing.
        for frame in lossy.iter_mut().skip(140) {
            frame.timestamp_ms += 600_000;
            frame.chunk += 30_000;
        }
        let events = run(&lossy);
        let found = utterances(&events);
        assert!(events.contains(&TrackEvent::Gap {
            from_ms: 2_800,
            to_ms: 602_800
        }));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[1].start_ms >= 602_000);
    }

    #[test]
    fn a_track_that_starts_late_starts_at_its_time() {
        let mut late = frames(&call());
        for frame in &mut late {
            frame.timestamp_ms += 30_000;
        }
        let events = run(&late);
        assert!(
            !events.iter().any(|e| matches!(e, TrackEvent::Gap { .. })),
            "{events:?}"
        );
        assert!(utterances(&events)[0].start_ms.abs_diff(32_000) < 130);
    }

    #[test]
    fn a_file_at_either_rate_gives_the_utterances_of_the_stream() {
        let mut samples = Vec::new();
        mulaw::decode_into(&call(), &mut samples);
        let live = utterances(&run(&frames(&call())));
        for rate in [Rate::Telephone, Rate::Speech] {
            let signal = match rate {
                Rate::Telephone => samples.clone(),
                Rate::Speech => samples.iter().flat_map(|&s| [s; 2]).collect(),
            };
            let mut pipeline = TrackPipeline::new(rate);
            let mut events = Vec::new();
            pipeline.push_samples(&signal, &mut events);
            pipeline.finish(&mut events);
            let found = utterances(&events);
            assert_eq!(found.len(), live.len());
            assert!(
                found
                    .iter()
                    .zip(&live)
                    .all(|(a, b)| a.start_ms.abs_diff(b.start_ms) <= 64)
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_order_loss_or_size_of_frames_breaks_it(
            steps in prop::collection::vec((0_u64..400, 0_u64..4_000, 0_usize..500, any::<u8>()), 1..60)
        ) {
            let mut pipeline = TrackPipeline::new(Rate::Telephone);
            let mut events = Vec::new();
            for (chunk, timestamp_ms, length, byte) in steps {
                let payload = vec![byte; length];
                let frame =
                    Media { timestamp_ms, chunk, payload };
                pipeline.push_media(frame.chunk, frame.timestamp_ms, &frame.payload, &mut events);
            }
            pipeline.finish(&mut events);
            for event in &events {
                if let TrackEvent::Gap { from_ms, to_ms } = event {
                    prop_assert!(from_ms < to_ms);
                }
            }
        }
    }
}
