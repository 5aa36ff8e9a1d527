//! `patchcord transcribe`: the live pipeline over files.
//!
//! In: wav files, mono, 16 bit at 8 or 16 kHz or μ-law at 8 kHz; two of equal length are the two tracks of a call. Out: one line of JSON per
//! utterance, in the order of time.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::transcribe_live::{self, Play};
use crate::{
    actors::asr::{AsrHandle, AsrSettings},
    media::{
        hygiene, model_files,
        pipeline::{Rate, Speech, TrackEvent, TrackPipeline},
        recogniser::{Effort, Recogniser as _},
        wav,
        whisper::{WhisperModel, WhisperRecogniser},
    },
};

/// Turns recordings into text.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recordings: wav, mono, 16 bit at 8 or 16 kHz, or μ-law at 8 kHz.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Adds the CPU seconds that each utterance took, listening included.
    #[arg(long)]
    cpu: bool,
    /// Plays the recordings (caller, agent) at the pace of speech as this many calls at once.
    #[arg(long, value_name = "CALLS")]
    live: Option<usize>,
    /// Length of these calls.
    #[arg(long, default_value_t = 60, requires = "live")]
    seconds: u64,
    /// A model's name or a ggml file; the configured one when absent.
    #[arg(long, env = "PATCHCORD_ASR__MODEL")]
    model: Option<String>,
    /// Where models are kept.
    #[arg(long, env = "PATCHCORD_ASR__MODELS_DIR")]
    models_dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    start_ms: u64,
    end_ms: u64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_s: Option<f64>,
}

/// Runs the command.
///
/// # Errors
/// No model, or a file that is not such a recording; what came before is printed.
pub fn run(args: Args) -> anyhow::Result<()> {
    let settings = AsrSettings::default();
    let model = args.model.as_deref().unwrap_or(&settings.model);
    let directory = args.models_dir.as_deref().unwrap_or(&settings.models_dir);
    let path = model_files::path_of(model, directory)?;
    let recordings = args
        .files
        .iter()
        .map(|file| Recording::read(file))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let advice =
        || format!("the speech model {model} cannot be used; `patchcord model fetch {model}` gets one");
    if let Some(calls) = args.live {
        let play = live_play(&recordings, calls, args.seconds)?;
        let settings = AsrSettings {
            model: path.to_string_lossy().into_owned(),
            ..settings.clone()
        };
        return transcribe_live::run(play, &AsrHandle::start(&settings).with_context(advice)?);
    }
    let mut recogniser = WhisperModel::load(&path).with_context(advice)?.recogniser()?;
    match &recordings[..] {
        [one, other] if one.seconds() == other.seconds() => print(&[one, other], &mut recogniser, args.cpu),
        all => all
            .iter()
            .try_for_each(|recording| print(&[recording], &mut recogniser, args.cpu)),
    }
}

fn live_play(recordings: &[Recording], calls: usize, seconds: u64) -> anyhow::Result<Play> {
    let samples = |recording: &Recording| match recording.rate {
        Rate::Telephone => Ok(recording.samples.clone().into()),
        Rate::Speech => bail!(
            "{} is at 16 kHz; calls are played at 8 kHz",
            recording.file.display()
        ),
    };
    let (caller, agent) = match recordings {
        [caller] => (samples(caller)?, None),
        [caller, agent] => (samples(caller)?, Some(samples(agent)?)),
        _ => bail!("a call has one or two recordings, the caller's and the agent's"),
    };
    Ok(Play {
        calls,
        seconds,
        caller,
        agent,
    })
}

/// A file in memory.
struct Recording {
    file: PathBuf,
    rate: Rate,
    samples: Vec<i16>,
}

impl Recording {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let (rate, samples) =
            wav::parse(&bytes).with_context(|| format!("{} cannot be used", file.display()))?;
        Ok(Self {
            file: file.to_owned(),
            rate,
            samples,
        })
    }

    /// Length, comparable between rates.
    fn seconds(&self) -> u128 {
        let samples = u128::try_from(self.samples.len()).unwrap_or(u128::MAX);
        samples * 16 / u128::from(self.rate.samples_per_ms())
    }

    /// Every utterance with the CPU seconds that hearing it took.
    fn utterances(&self) -> Vec<(Speech, f64)> {
        let mut pipeline = TrackPipeline::new(self.rate);
        let mut found = Vec::new();
        let mut events = Vec::new();
        let mut spent = CpuClock::start();
        let portion = usize::try_from(self.rate.samples_per_ms() * 20).unwrap_or(160);
        for samples in self.samples.chunks(portion) {
            pipeline.push_samples(samples, &mut events);
            collect(&mut events, &mut found, &mut spent);
        }
        pipeline.finish(&mut events);
        collect(&mut events, &mut found, &mut spent);
        // What was spent after the last utterance belongs to it: the sum is the file's.
        if let Some((_, cpu_s)) = found.last_mut() {
            *cpu_s += spent.lap_s();
        }
        found
    }
}

fn collect(events: &mut Vec<TrackEvent>, found: &mut Vec<(Speech, f64)>, spent: &mut CpuClock) {
    for event in events.drain(..) {
        if let TrackEvent::Ended { speech, .. } = event {
            found.push((speech, spent.lap_s()));
        }
    }
}

fn print(tracks: &[&Recording], recogniser: &mut WhisperRecogniser, with_cpu: bool) -> anyhow::Result<()> {
    let mut all: Vec<(&Recording, Speech, f64)> = Vec::new();
    for track in tracks {
        all.extend(
            track
                .utterances()
                .into_iter()
                .map(|(speech, cpu_s)| (*track, speech, cpu_s)),
        );
    }
    all.sort_by_key(|(_, speech, _)| speech.start_ms);
    for (track, speech, hearing_s) in all {
        let mut spent = CpuClock::start();
        let recognition = recogniser.recognise(&speech, Effort::Final)?;
        let text = hygiene::clean(&recognition, &speech);
        if text.is_empty() && !with_cpu {
            continue;
        }
        let cpu_s = with_cpu.then(|| hearing_s + spent.lap_s());
        let line = Line {
            file: &track.file,
            start_ms: speech.start_ms,
            end_ms: speech.end_ms,
            text,
            cpu_s,
        };
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}

/// CPU time of this process, in laps.
struct CpuClock {
    last_s: f64,
}

impl CpuClock {
    fn start() -> Self {
        Self {
            last_s: process_cpu_s(),
        }
    }

    fn lap_s(&mut self) -> f64 {
        let now = process_cpu_s();
        let lap = now - self.last_s;
        self.last_s = now;
        lap
    }
}

/// Seconds of CPU that all threads of this process have used; 0 where the system does not say.
fn process_cpu_s() -> f64 {
    // Nanoseconds on a processor, then two other numbers. Threads that have ended are missing: none end here.
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate_hz: u32, channels: u16, samples: &[i16]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(file.path(), spec).expect("it takes a header");
        for &sample in samples {
            writer.write_sample(sample).expect("it takes samples");
        }
        writer.finalize().expect("it takes the length");
        file
    }

    #[test]
    fn other_rates_and_channels_are_refused_with_the_way_out() {
        for (rate_hz, channels) in [(44_100, 1), (8_000, 2), (11_025, 1)] {
            let file = wav(rate_hz, channels, &[0; 100]);
            let error = Recording::read(file.path()).err().expect("it is refused");
            let error = format!("{error:#}");
            assert!(
                error.contains(&rate_hz.to_string()) && error.contains("sox"),
                "{error}"
            );
        }
        assert!(Recording::read(Path::new("/nowhere.wav")).is_err());
    }

    #[test]
    fn tracks_of_one_length_match_at_either_rate() {
        let (one, other) = (wav(8_000, 1, &[0; 8_000]), wav(16_000, 1, &[0; 16_000]));
        let length = |file: &tempfile::NamedTempFile| {
            Recording::read(file.path()).expect("it is a recording").seconds()
        };
        assert_eq!(length(&one), length(&other));
    }

    #[test]
    fn silence_has_no_utterances() {
        let file = wav(8_000, 1, &[0; 80_000]);
        assert!(
            Recording::read(file.path())
                .expect("it is a recording")
                .utterances()
                .is_empty()
        );
    }
}
