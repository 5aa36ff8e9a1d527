//! One run of `patchcord simulate`: plays the calls, shows what comes back, waits for the runs, sums up.

use std::{ops::Range, path::PathBuf, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    args::{Arguments, Ending},
    audio::{FRAMES_PER_SECOND, Side},
    call::{Cast, Moment, Played, fresh_sid, play},
    doors::{Account, Doors},
    outbox,
    outcome::SimulateError,
    print::Printer,
    summary::{Bearing, Summary, Tally},
    watch::{Heard, Live, SignIn, watch},
};
use crate::{bus::live::LiveFact, domain::secret::Secret};

/// Calls of one session do not begin on one instant, as they never do.
const BETWEEN_CALLS: Duration = Duration::from_millis(37);
/// However many calls there are, the last begins by then.
const ALL_BEGUN: Duration = Duration::from_secs(5);
/// Quiet on the live stream for this long, with nothing at work, means that nothing more comes.
const QUIET: Duration = Duration::from_millis(700);
/// Frames of the demonstration call's caller that make a message: their first words, 5 s.
const MESSAGE_FRAMES: Range<usize> = 310..560;

/// Plays what `arguments` ask for and prints it.
///
/// # Errors
/// [`SimulateError`] of the first call, door or stream that failed.
pub async fn run(arguments: &Arguments) -> Result<Summary, SimulateError> {
    let account = Account {
        sid: arguments.account_sid.clone(),
        token: Secret::new(arguments.auth_token.clone()),
    };
    let doors = Doors::new(&arguments.server, arguments.public_url.as_deref(), account)?;
    let casts = casts(arguments)?;
    let live = if arguments.blind {
        None
    } else {
        Some(watch(&doors, &sign_in(arguments)).await?)
    };
    let mut printer = Printer::new(arguments.json, casts.len() > 1);
    printer.headline(&headline(arguments))?;
    let tally = Tally::new(arguments.speed, casts.iter().map(|cast| cast.call_sid.clone()));
    let mut session = Session { printer, tally, live };
    session.play(&doors, casts).await?;
    session.settle(Duration::from_secs(arguments.settle)).await?;
    session.show_messages(&doors).await?;
    let summary = session.tally.summary();
    session.printer.summary(&summary)?;
    Ok(summary)
}

pub(super) fn sign_in(arguments: &Arguments) -> SignIn {
    arguments.token.clone().map_or_else(
        || SignIn::Password {
            email: arguments.email.clone(),
            password: Secret::new(arguments.password.clone()),
        },
        |token| SignIn::Token(Secret::new(token)),
    )
}

fn headline(arguments: &Arguments) -> String {
    let calls = if arguments.calls == 1 {
        "one call".to_owned()
    } else {
        format!("{} calls", arguments.calls)
    };
    format!(
        "Playing {calls} into {} at speed {} …",
        arguments.server, arguments.speed
    )
}

/// One cast for each call that is asked for.
fn casts(arguments: &Arguments) -> Result<Vec<Cast>, SimulateError> {
    let (caller, agent) = sides(arguments)?;
    let frames = caller.len().max(agent.len());
    let cast = |index: u32| {
        // Frames that call number `index` begins later in the audio.
        let part = u64::from(index) * u64::try_from(frames).unwrap_or(u64::MAX) / u64::from(arguments.calls);
        let start = usize::try_from(part).unwrap_or(0) * usize::from(arguments.rotate);
        Cast {
            call_sid: fresh_sid("CA"),
            customer: counted(&arguments.from, index),
            ours: arguments.to.clone(),
            direction: arguments.direction,
            ending: arguments.status,
            caller: caller.rotated(start),
            agent: agent.rotated(start),
            speed: arguments.speed,
        }
    };
    Ok((0..arguments.calls).map(cast).collect())
}

/// The two sides: given files, or the demonstration call; for a message, its caller's first words.
fn sides(arguments: &Arguments) -> Result<(Side, Side), SimulateError> {
    if let Some(seconds) = arguments.silence {
        let side = Side::silent(seconds * FRAMES_PER_SECOND);
        return Ok((side.clone(), side));
    }
    let read = |file: &Option<PathBuf>| file.as_deref().map(Side::read_file).transpose();
    match (read(&arguments.caller)?, read(&arguments.agent)?) {
        (None, None) if arguments.status == Ending::Voicemail => message_sides(),
        (None, None) => Ok((Side::demo_caller()?, Side::demo_agent()?)),
        (caller, agent) => {
            let silent = || Side::silent(0);
            let (caller, agent) = (caller.unwrap_or_else(silent), agent.unwrap_or_else(silent));
            let frames = caller.len().max(agent.len());
            Ok((caller.slice(0..frames), agent.slice(0..frames)))
        }
    }
}

/// The sides of a call that ends in a message: the demonstration call's caller says their first words to nobody.
pub(super) fn message_sides() -> Result<(Side, Side), SimulateError> {
    Ok((Side::demo_caller()?.slice(MESSAGE_FRAMES), Side::silent(0)))
}

/// `number` counted up by `index` in its last digits.
fn counted(number: &str, index: u32) -> String {
    let digits = number.trim_start_matches('+');
    match digits.parse::<u64>() {
        Ok(value) => format!("+{}", value + u64::from(index)),
        Err(_) => number.to_owned(),
    }
}

/// What is going on while calls are played.
struct Session {
    printer: Printer,
    tally: Tally,
    live: Option<Live>,
}

impl Session {
    /// Plays every call to its end and shows what comes back meanwhile.
    async fn play(&mut self, doors: &Doors, casts: Vec<Cast>) -> Result<(), SimulateError> {
        let (sender, mut moments) = mpsc::unbounded_channel();
        let count = u32::try_from(casts.len()).unwrap_or(u32::MAX).max(1);
        let between = BETWEEN_CALLS.min(ALL_BEGUN / count);
        let begin = Instant::now();
        let mut playing: JoinSet<Result<Played, SimulateError>> = JoinSet::new();
        for (cast, index) in casts.into_iter().zip(0_u32..) {
            let (doors, sender) = (doors.clone(), sender.clone());
            playing.spawn(async move {
                sleep_until(begin + between * index).await;
                let sid = cast.call_sid.clone();
                // The receiver outlives every call: it is dropped at the end of this function.
                let tell = |moment: Moment| drop(sender.send((sid.clone(), moment)));
                play(&doors, &cast, &tell).await
            });
        }
        while !playing.is_empty() {
            tokio::select! {
                biased;
                Some((sid, moment)) = moments.recv() => self.tally.tell(&sid, moment),
                heard = next(self.live.as_mut()) => self.show(heard?)?,
                Some(played) = playing.join_next() => {
                    let played = played.expect("a call's task is neither cancelled nor does it panic")?;
                    self.tally.sent(played.pace);
                }
            }
        }
        while let Ok((sid, moment)) = moments.try_recv() {
            self.tally.tell(&sid, moment);
        }
        Ok(())
    }

    /// Shows what still comes: until nothing is at work, or `limit` is over.
    async fn settle(&mut self, limit: Duration) -> Result<(), SimulateError> {
        let deadline = Instant::now() + limit;
        while self.live.is_some() && Instant::now() < deadline {
            // The words of the last utterance may still be on their way, as late as any before.
            let quiet = QUIET + 2 * self.tally.slowest_final();
            match timeout(quiet, next(self.live.as_mut())).await {
                Ok(heard) => self.show(heard?)?,
                Err(_) if self.tally.is_settled() => break,
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Shows what the runs of our calls sent, or would have sent.
    async fn show_messages(&mut self, doors: &Doors) -> Result<(), SimulateError> {
        let Some(live) = &self.live else { return Ok(()) };
        for message in outbox::newest(doors, live.token()).await? {
            if message.run_id.is_some_and(|run| self.tally.is_ours(run)) {
                self.printer.message(&message)?;
            }
        }
        Ok(())
    }

    fn show(&mut self, heard: Heard) -> Result<(), SimulateError> {
        // Types that this version does not know (`gap`, `pong`) say nothing about a call.
        let Ok(fact) = serde_json::from_value::<LiveFact>(heard.message.clone()) else {
            return Ok(());
        };
        match self.tally.hear(&fact, heard.at) {
            Bearing::Foreign | Bearing::Repeated => Ok(()),
            Bearing::Ours { call_sid, delay_ms } => {
                self.printer.fact(&call_sid, &fact, &heard.message, delay_ms)
            }
        }
    }
}

/// The next live message; never when nobody watches.
async fn next(live: Option<&mut Live>) -> Result<Heard, SimulateError> {
    match live {
        Some(live) => live.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up() {
        assert_eq!(counted("+14155550199", 2), "+14155550201");
        assert_eq!(counted("anonymous", 2), "anonymous");
    }
}
