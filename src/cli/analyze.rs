//! `patchcord analyze`: the live sentiment over text.
//!
//! In: one utterance a line on standard input, or call scripts in a file. Out: JSON lines. The scores, turns and
//! the trigger are those of the live path; only the times of scripted calls are made up, by a fixed rule.

use std::{
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    analysis::{
        CallMood, MoodChange, Scorer, ScorerError,
        sentiment::{Ngram, shipped},
        turns::TURN_GAP_MS,
        words::plain_words,
    },
    domain::{
        audio::Speaker,
        sentiment::{Sentiment, SentimentLabel},
        transcript::Utterance,
    },
};

/// Scripted calls carry no times: a word takes this long (150 words a minute), as in unhurried speech.
const WORD_MS: u64 = 400;
/// Pause between turns: long enough that each scripted turn is a turn of its own, whoever spoke before.
const PAUSE_MS: u64 = TURN_GAP_MS + 500;

/// What may be written after `patchcord analyze`.
#[derive(Debug, clap::Args)]
pub struct AnalyzeArgs {
    /// Call scripts: a JSON list of {id, turns: [{turn, speaker, text}]}. Without it, utterances come from standard input, one a line.
    #[arg(long, value_name = "FILE.json")]
    pub calls: Option<PathBuf>,
    /// The model that scores.
    #[arg(long, value_enum, default_value_t = Engine::Encoder)]
    pub engine: Engine,
}

/// The models there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// The sentence encoder, as in live calls.
    Encoder,
    /// The n-gram model that stands in when there is no time.
    Ngram,
}

/// Why nothing could be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    #[error("cannot read the calls in {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{} is not a list of calls like [{{\"id\": \"a\", \"turns\": [{{\"turn\": 1, \"speaker\": \"customer\", \"text\": \"Hello\"}}]}}]",
        path.display()
    )]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot read standard input")]
    Input(#[source] io::Error),
    #[error("cannot write the result")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Scorer(#[from] ScorerError),
}

impl AnalyzeError {
    /// Whether the caller gave something that cannot be used: exit status 2.
    #[must_use]
    pub const fn is_bad_usage(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::Malformed { .. } => true,
            Self::Input(_) | Self::Output(_) | Self::Scorer(_) => false,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Script {
    id: serde_json::Value,
    turns: Vec<ScriptTurn>,
}

#[derive(Debug, Deserialize)]
struct ScriptTurn {
    turn: u64,
    speaker: Speaker,
    text: String,
}

#[derive(Debug, Serialize)]
struct UtteranceRow<'a> {
    text: &'a str,
    score: f64,
    label: SentimentLabel,
}

#[derive(Debug, Serialize)]
struct TurnRow<'a> {
    call: &'a serde_json::Value,
    turn: u64,
    score: f64,
    label: SentimentLabel,
    alert: bool,
}

/// Runs the command on standard input and output.
///
/// # Errors
/// [`AnalyzeError`], inside; its `is_bad_usage` tells exit status 2 from 1.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<()> {
    let scorer: Arc<dyn Scorer> = match args.engine {
        Engine::Encoder => shipped().map_err(AnalyzeError::from)?,
        Engine::Ngram => Arc::new(Ngram::shipped().map_err(AnalyzeError::from)?),
    };
    let output = io::stdout().lock();
    let done = match &args.calls {
        Some(path) => analyze_calls(path, &*scorer, output),
        None => analyze_lines(io::stdin().lock(), &*scorer, output),
    };
    match done {
        // Whoever read the output has seen enough.
        Err(AnalyzeError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(()),
    }
}

/// Scores each line that holds more than blanks. Bytes that are not UTF-8 are shown as the replacement mark.
fn analyze_lines(
    mut input: impl BufRead,
    scorer: &dyn Scorer,
    mut output: impl Write,
) -> Result<(), AnalyzeError> {
    let mut bytes = Vec::new();
    while input.read_until(b'\n', &mut bytes).map_err(AnalyzeError::Input)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        let text = line.trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() {
            let sentiment = scorer.score(text);
            write_row(
                &mut output,
                &UtteranceRow {
                    text,
                    score: rounded(sentiment.score),
                    label: sentiment.label,
                },
            )?;
        }
        bytes.clear();
    }
    Ok(())
}

fn analyze_calls(path: &Path, scorer: &dyn Scorer, mut output: impl Write) -> Result<(), AnalyzeError> {
    let bytes = std::fs::read(path).map_err(|source| AnalyzeError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let calls: Vec<Script> = serde_json::from_slice(&bytes).map_err(|source| AnalyzeError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    for call in &calls {
        analyze_call(call, scorer, &mut output)?;
    }
    Ok(())
}

fn analyze_call(call: &Script, scorer: &dyn Scorer, output: &mut impl Write) -> Result<(), AnalyzeError> {
    let mut mood = CallMood::default();
    let mut now_ms = 0_u64;
    for (ordinal, turn) in (0_u32..).zip(&call.turns) {
        let start_ms = now_ms;
        let words = u64::try_from(plain_words(&turn.text).len()).unwrap_or(u64::MAX);
        let end_ms = start_ms.saturating_add(WORD_MS.saturating_mul(words.max(1)));
        now_ms = end_ms.saturating_add(PAUSE_MS);
        let utterance = Utterance {
            ordinal,
            speaker: turn.speaker,
            text: turn.text.clone(),
            start_ms,
            end_ms,
            sentiment: None,
        };
        let heard = mood.heard(&utterance);
        if turn.speaker == Speaker::Agent {
            continue;
        }
        let changes = heard
            .request
            .map(|request| mood.scored(request.answer(scorer)))
            .unwrap_or_default();
        // A filler is no turn to the trigger, but a row is due for it all the same.
        let sentiment = changes
            .iter()
            .find_map(own_score)
            .unwrap_or_else(|| scorer.score(&turn.text));
        let alert = changes
            .iter()
            .any(|change| matches!(change, MoodChange::Fired { .. }));
        let (score, label) = (rounded(sentiment.score), sentiment.label);
        write_row(
            output,
            &TurnRow {
                call: &call.id,
                turn: turn.turn,
                score,
                label,
                alert,
            },
        )?;
    }
    Ok(())
}

fn own_score(change: &MoodChange) -> Option<Sentiment> {
    match change {
        MoodChange::Scored { sentiment, .. } => Some(*sentiment),
        MoodChange::Trend { .. }
        | MoodChange::Fired { .. }
        | MoodChange::Confirmed { .. }
        | MoodChange::Retracted { .. }
        | MoodChange::Positive { .. } => None,
    }
}

/// Four decimals: what the model is worth.
fn rounded(score: f32) -> f64 {
    (f64::from(score) * 10_000.0).round() / 10_000.0
}

fn write_row(output: &mut impl Write, row: &impl Serialize) -> Result<(), AnalyzeError> {
    serde_json::to_writer(&mut *output, row).map_err(|error| AnalyzeError::Output(error.into()))?;
    output.write_all(b"\n").map_err(AnalyzeError::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder() -> Arc<dyn Scorer> {
        shipped().expect("the shipped files are an encoder")
    }

    fn rows(output: &[u8]) -> Vec<serde_json::Value> {
        output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("each line is JSON"))
            .collect()
    }

    #[test]
    fn each_line_with_words_gives_a_row_with_its_own_text() {
        let mut output = Vec::new();
        let input = b"  This is terrible, I hate it!\r\n\n   \nMy name is \xff\"Kim\"\nlast line without end";
        analyze_lines(&input[..], &*encoder(), &mut output).expect("memory does not fail");
        let rows = rows(&output);
        let texts: Vec<_> = rows
            .iter()
            .map(|row| row["text"].as_str().expect("a text"))
            .collect();
        assert_eq!(
            texts,
            [
                "  This is terrible, I hate it!",
                "My name is \u{fffd}\"Kim\"",
                "last line without end"
            ]
        );
        assert_eq!(rows[0]["label"], "negative");
        assert!(rows[0]["score"].as_f64().expect("a number") < -0.5);
    }

    #[test]
    fn a_call_alerts_once_where_anger_is_repeated() {
        let script = serde_json::json!([{"id": 7, "turns": [
            {"turn": 1, "speaker": "agent", "text": "How can I help?"},
            {"turn": 2, "speaker": "customer", "text": "You have charged me for something I never ordered, I'm so annoyed."},
            {"turn": 3, "speaker": "customer", "text": "okay"},
            {"turn": 4, "speaker": "agent", "text": "Let me look at that."},
            {"turn": 5, "speaker": "customer", "text": "This is ridiculous, you people are useless."},
            {"turn": 6, "speaker": "customer", "text": "It's an absolute disgrace and I want my money back."}
        ]}]);
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("calls.json");
        std::fs::write(&path, script.to_string()).expect("the folder takes files");
        let mut output = Vec::new();
        analyze_calls(&path, &*encoder(), &mut output).expect("the script is good");
        let rows = rows(&output);
        assert!(rows.iter().all(|row| row["call"] == 7));
        let turns: Vec<_> = rows
            .iter()
            .map(|row| row["turn"].as_u64().expect("a number"))
            .collect();
        assert_eq!(turns, [2, 3, 5, 6]);
        assert_eq!(rows.iter().filter(|row| row["alert"] == true).count(), 1);
    }

    #[test]
    fn a_broken_script_is_bad_usage_and_names_file_and_place() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("calls.json");
        for (broken, named) in [
            ("[{\"id\": 1}]", "missing field `turns`"),
            (
                "[{\"id\": 1, \"turns\": [{\"turn\": 1, \"speaker\": \"robot\", \"text\": \"\"}]}]",
                "unknown variant `robot`",
            ),
            ("{", "expected a sequence"),
        ] {
            std::fs::write(&path, broken).expect("the folder takes files");
            let error = analyze_calls(&path, &*encoder(), Vec::new()).expect_err("it is broken");
            assert!(error.is_bad_usage());
            let text = format!("{:#}", anyhow::Error::from(error));
            assert!(text.contains("calls.json") && text.contains(named), "{text}");
        }
        let missing = analyze_calls(&folder.path().join("none.json"), &*encoder(), Vec::new());
        assert!(missing.expect_err("there is no such file").is_bad_usage());
    }
}
