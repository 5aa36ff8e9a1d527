//! Whisper through whisper.cpp: one model in memory, any number of recognisers on it.
//!
//! In: speech of up to 30 s. Out: its words. The encoder is run on as much context as the audio needs instead of 30 s, which
//! is what makes it cheap; `decoding.rs` has the rules that this needs. Each recogniser takes about 160 MB once it was used.

use std::{
    collections::HashMap,
    ffi::{c_char, c_int, c_void},
    path::Path,
    sync::{Arc, Once},
};

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError, WhisperState,
    WhisperTokenId,
};

use super::{
    decoding::{Ending, Greedy, Repetition, Timestamps, Vocabulary},
    ggml::{self, ModelError},
    mel::{BANDS, HOP, MelSpectrogram},
    pipeline::{Rate, Speech},
    recogniser::{Effort, RecogniseError, Recogniser, Recognition},
    resample,
};

/// Context positions per second of audio.
const POSITIONS_PER_S: usize = 50;
/// Positions of silence behind the audio: fewer make the model repeat itself, more cost time.
const SPARE_POSITIONS: usize = 96;
/// Least positions: short audio needs more silence behind it.
const POSITIONS_MIN: usize = 240;
/// The same when the first result was doubtful.
const SPARE_POSITIONS_AGAIN: usize = 448;
/// The matrix kernels are a third faster when the context is a multiple of this.
const POSITIONS_STEP: usize = 16;
/// Longest audio that is heard: more is cut off.
const SAMPLES_MAX: usize = 30 * 16_000;
/// Shorter audio is followed by silence up to this: 1 s.
const SAMPLES_MIN: usize = 16_000;

/// A loaded model.
#[derive(Clone)]
pub struct WhisperModel {
    context: Arc<WhisperContext>,
    vocabulary: Arc<Vocabulary>,
    /// What every decoding starts with: start, language and task where it has them, timestamp 0.00.
    prompt: Arc<[WhisperTokenId]>,
}

impl WhisperModel {
    /// Loads the ggml file at `path`.
    ///
    /// # Errors
    /// [`ModelError`] when it is missing, not a whole ggml Whisper file (whisper.cpp would end the process), or refused.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        quiet_log();
        let shape = ggml::validate(path)?;
        if usize::try_from(shape.bands) != Ok(BANDS) {
            return Err(ModelError::Unsupported {
                path: path.to_owned(),
                what: format!("{} mel bands", shape.bands),
            });
        }
        let mut parameters = WhisperContextParameters::default();
        parameters.use_gpu(false).flash_attn(false);
        let context =
            WhisperContext::new_with_params(path, parameters).map_err(|source| ModelError::Refused {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        let vocabulary = vocabulary(&context);
        let mut prompt = vec![context.token_sot()];
        if context.is_multilingual() {
            let english = whisper_rs::get_lang_id("en").unwrap_or(0);
            prompt.extend([context.token_lang(english), context.token_transcribe()]);
        }
        prompt.push(context.token_beg());
        Ok(Self {
            context: Arc::new(context),
            vocabulary: Arc::new(vocabulary),
            prompt: prompt.into(),
        })
    }

    /// Returns a recogniser with working memory of its own.
    ///
    /// # Errors
    /// [`ModelError::Refused`] when there is no memory for it.
    pub fn recogniser(&self) -> Result<WhisperRecogniser, ModelError> {
        let state = self
            .context
            .create_state()
            .map_err(|source| ModelError::Refused {
                path: "working memory".into(),
                source: Box::new(source),
            })?;
        Ok(WhisperRecogniser {
            model: self.clone(),
            state,
            mel: MelSpectrogram::new(),
            positions: 0,
            logits: Vec::new(),
        })
    }
}

fn vocabulary(context: &WhisperContext) -> Vocabulary {
    let index = |token: c_int| usize::try_from(token).expect("whisper.cpp counts tokens from 0");
    let end = context.token_eot();
    let texts: Vec<String> = (0..end)
        .map(|token| {
            context
                .token_to_str_lossy(token)
                .map(String::from)
                .unwrap_or_default()
        })
        .collect();
    let unspoken = (0..)
        .zip(&texts)
        .filter(|(_, text)| is_unspoken(text))
        .map(|(token, _)| token)
        .collect();
    let mut first: HashMap<String, usize> = HashMap::new();
    let folded = (0..)
        .zip(&texts)
        .map(|(token, text)| *first.entry(text.trim().to_lowercase()).or_insert(token))
        .collect();
    Vocabulary {
        size: index(context.n_vocab()),
        end: index(end),
        timestamps: index(context.token_beg()),
        unspoken,
        folded,
    }
}

/// Whether a token begins something that is written but not said: notes, brackets, speaker names.
fn is_unspoken(token: &str) -> bool {
    const MARKS: [&str; 14] = [
        "<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", "(\"", "((", "))", "[[", "]]",
    ];
    if token == " -" || token == " '" {
        return true;
    }
    let mark = token.strip_prefix(' ').unwrap_or(token);
    let mut chars = mark.chars();
    let single = match (chars.next(), chars.next()) {
        (Some(one), None) => "\"#()*+/:;<=>@[\\]^_`{|}~「」『』".contains(one),
        _ => false,
    };
    single || MARKS.contains(&mark) || mark.contains(['♩', '♪', '♫', '♬', '♭', '♮', '♯'])
}

/// Working memory for one thread.
pub struct WhisperRecogniser {
    model: WhisperModel,
    state: WhisperState,
    mel: MelSpectrogram,
    /// Context the state is set to.
    positions: usize,
    logits: Vec<f32>,
}

/// One pass over the audio.
struct Pass {
    tokens: Vec<usize>,
    ending: Ending,
    mean_logprob: f32,
}

impl Recogniser for WhisperRecogniser {
    fn recognise(&mut self, speech: &Speech, effort: Effort) -> Result<Recognition, RecogniseError> {
        let mut samples = match speech.rate {
            Rate::Telephone => resample::upsample(&speech.samples),
            Rate::Speech => speech.samples.iter().map(|&s| f32::from(s) / 32_768.0).collect(),
        };
        samples.truncate(SAMPLES_MAX);
        samples.resize(samples.len().max(SAMPLES_MIN), 0.0);
        let mut pass = self.pass(&samples, SPARE_POSITIONS, Repetition::Suspect, Timestamps::Said)?;
        let mut passes = 1;
        if effort == Effort::Final && pass.ending != Ending::Said {
            passes += 1;
            let again = self.pass(
                &samples,
                SPARE_POSITIONS_AGAIN,
                Repetition::Believed,
                Timestamps::Said,
            )?;
            // A second opinion that ran away too is worth less than the cut first one.
            if again.ending == Ending::Said {
                pass = again;
            } else {
                // Each way of decoding loses a digit of some rows ("999", "555555"), never the same: the longer one was heard.
                for timestamps in [Timestamps::Said, Timestamps::Silent] {
                    passes += 1;
                    let whole = self.pass(&samples, usize::MAX, Repetition::Believed, timestamps)?;
                    let says_more = pass.ending != Ending::Said || whole.tokens.len() > pass.tokens.len();
                    if whole.ending == Ending::Said && says_more {
                        pass = whole;
                    }
                }
            }
        }
        Ok(Recognition {
            text: self.text(&pass.tokens),
            mean_logprob: pass.mean_logprob,
            passes,
        })
    }
}

impl WhisperRecogniser {
    #[expect(clippy::cast_precision_loss, reason = "at most 480,000 samples")]
    fn pass(
        &mut self,
        samples: &[f32],
        spare: usize,
        repetition: Repetition,
        timestamps: Timestamps,
    ) -> Result<Pass, RecogniseError> {
        let whole =
            usize::try_from(self.model.context.n_audio_ctx()).expect("whisper.cpp counts positions from 0");
        let needed = (samples.len() * POSITIONS_PER_S)
            .div_ceil(16_000)
            .saturating_add(spare);
        let positions = needed
            .clamp(POSITIONS_MIN, whole)
            .next_multiple_of(POSITIONS_STEP)
            .min(whole);
        self.set_positions(positions)
            .map_err(failed("setting its context"))?;
        let picture = self.mel.picture(samples, positions * 2);
        self.state
            .set_mel(&picture)
            .map_err(failed("taking the picture"))?;
        self.state.encode(0, 1).map_err(failed("encoding"))?;
        let vocabulary = self.model.vocabulary.clone();
        let seconds = samples.len() as f32 / 16_000.0;
        let mut greedy = Greedy::new(&vocabulary, seconds, repetition, timestamps);
        let mut prompt = self.model.prompt.to_vec();
        if let (Timestamps::Silent, Some(last)) = (timestamps, prompt.last_mut()) {
            *last = self.model.context.token_not();
        }
        self.decode(&prompt, 0)?;
        let mut past = prompt.len();
        while let Some(token) = greedy.step(&mut self.logits) {
            let token = WhisperTokenId::try_from(token).expect("a token came from a 32-bit number");
            self.decode(&[token], past)?;
            past += 1;
        }
        Ok(Pass {
            tokens: greedy.text().to_vec(),
            ending: greedy.ending(),
            mean_logprob: greedy.mean_logprob(),
        })
    }

    /// Feeds `tokens` and takes the scores behind the last.
    #[expect(
        unsafe_code,
        reason = "whisper.cpp leaves the last row's scores behind rows that whisper-rs does not show"
    )]
    fn decode(&mut self, tokens: &[WhisperTokenId], past: usize) -> Result<(), RecogniseError> {
        self.state.decode(tokens, past, 1).map_err(failed("decoding"))?;
        let size = self.model.vocabulary.size;
        let first = self.state.get_logits().map_err(failed("giving its scores"))?;
        // SAFETY: after a decode of n tokens `whisper_get_logits_from_state` points to n rows of `n_vocab` scores, of which
        // whisper.cpp fills the last only (`whisper_batch_prep_legacy`); nothing else touches the state while we copy.
        let last = unsafe { std::slice::from_raw_parts(first.as_ptr().add((tokens.len() - 1) * size), size) };
        self.logits.clear();
        self.logits.extend_from_slice(last);
        Ok(())
    }

    /// Sets the encoder's context. Only `whisper_full` can, so it is started and stopped before it encodes.
    #[expect(unsafe_code, reason = "a callback of whisper.cpp")]
    fn set_positions(&mut self, positions: usize) -> Result<(), WhisperError> {
        if self.positions == positions {
            return Ok(());
        }
        let mut parameters = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        parameters.set_audio_ctx(c_int::try_from(positions).expect("at most 1,500 positions"));
        parameters.set_n_threads(1);
        parameters.set_language(Some("en"));
        parameters.set_print_progress(false);
        // SAFETY: the callback is a plain function that uses none of its arguments.
        unsafe { parameters.set_start_encoder_callback(Some(stop)) };
        self.state.full(parameters, &[0.0; 20 * HOP])?;
        self.positions = positions;
        Ok(())
    }

    fn text(&self, tokens: &[usize]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens {
            let token = WhisperTokenId::try_from(token).expect("a token came from a 32-bit number");
            bytes.extend_from_slice(self.model.context.token_to_bytes(token).unwrap_or_default());
        }
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

#[expect(unsafe_code, reason = "whisper.cpp asks for this signature")]
unsafe extern "C" fn stop(
    _context: *mut whisper_rs::WhisperSysContext,
    _state: *mut whisper_rs::WhisperSysState,
    _data: *mut c_void,
) -> bool {
    false
}

fn failed(step: &'static str) -> impl Fn(WhisperError) -> RecogniseError {
    move |source| RecogniseError::Model {
        step,
        source: Box::new(source),
    }
}

/// Sends whisper.cpp's messages to `debug`: it calls our own stopping of `whisper_full` an error, each time.
#[expect(unsafe_code, reason = "whisper.cpp asks for a callback")]
fn quiet_log() {
    static ONCE: Once = Once::new();
    // SAFETY: the callback is a plain function, valid for ever, that reads its text only during the call.
    ONCE.call_once(|| unsafe { whisper_rs::set_log_callback(Some(log), std::ptr::null_mut()) });
}

#[expect(unsafe_code, reason = "whisper.cpp asks for this signature")]
unsafe extern "C" fn log(_level: u32, text: *const c_char, _data: *mut c_void) {
    if !text.is_null() {
        // SAFETY: whisper.cpp passes a text that ends with a zero byte.
        let text = unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy();
        tracing::debug!(target: "patchcord::whisper", message = text.trim());
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test signals are small numbers")]
mod tests {
    use super::*;
    use crate::media::{
        hygiene,
        model_files::model_or_skip,
        pipeline::{TrackEvent, TrackPipeline},
    };

    /// Everything that is said in a recording at 8 kHz, in lower case.
    fn heard(model: &WhisperModel, samples: &[i16]) -> String {
        let mut recogniser = model.recogniser().expect("there is memory for one");
        let mut pipeline = TrackPipeline::new(Rate::Telephone);
        let mut events = Vec::new();
        pipeline.push_samples(samples, &mut events);
        pipeline.finish(&mut events);
        let mut text = String::new();
        for event in events {
            if let TrackEvent::Ended { speech, .. } = event {
                let recognition = recogniser.recognise(&speech, Effort::Final).expect("it decodes");
                text.push_str(&hygiene::clean(&recognition, &speech).to_lowercase());
                text.push(' ');
            }
        }
        text
    }

    fn demonstration() -> Vec<i16> {
        let bytes = include_bytes!("../../assets/demo/refund-caller.wav");
        crate::media::wav::parse(bytes)
            .expect("the demonstration call is telephone audio")
            .1
    }

    #[test]
    fn the_demonstration_call_is_understood() {
        let Some(path) = model_or_skip() else { return };
        let model = WhisperModel::load(&path).expect("the model is whole");
        let text = heard(&model, &demonstration());
        for words in ["refund", "disappointing", "five days", "four times", "manager"] {
            assert!(text.contains(words), "{words} is missing in: {text}");
        }
    }

    #[test]
    fn silence_tones_and_noise_have_no_words() {
        let Some(path) = model_or_skip() else { return };
        let model = WhisperModel::load(&path).expect("the model is whole");
        let tone = |hz: f32| {
            (0..40_000)
                .map(move |n| ((std::f32::consts::TAU * hz * n as f32 / 8_000.0).sin() * 6_000.0) as i16)
        };
        let mut state = 1_u32;
        let noise = (0..40_000).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as i16 - 2_048
        });
        let ringing: Vec<i16> = tone(440.0).zip(tone(480.0)).map(|(a, b)| a / 2 + b / 2).collect();
        for (name, samples) in [
            ("silence", vec![0; 40_000]),
            ("a tone", tone(1_000.0).collect()),
            ("a ringing tone", ringing),
            ("noise", noise.collect::<Vec<i16>>()),
        ] {
            assert_eq!(heard(&model, &samples).trim(), "", "{name}");
        }
    }

    #[test]
    fn two_recognisers_on_one_model_agree() {
        let Some(path) = model_or_skip() else { return };
        let model = WhisperModel::load(&path).expect("the model is whole");
        let samples = &demonstration()[..8_000 * 12];
        let (one, other) = std::thread::scope(|scope| {
            let first = scope.spawn(|| heard(&model, samples));
            let second = scope.spawn(|| heard(&model, samples));
            (first.join().expect("no panic"), second.join().expect("no panic"))
        });
        assert_eq!(one, other);
    }

    #[test]
    fn what_is_written_but_not_said_is_known() {
        for token in ["♪", " ♪♪", "(", " [", "((", " -", "<<"] {
            assert!(is_unspoken(token), "{token}");
        }
        for token in [" the", "-", "'s", ",", "$", "%", " I"] {
            assert!(!is_unspoken(token), "{token}");
        }
    }
}
