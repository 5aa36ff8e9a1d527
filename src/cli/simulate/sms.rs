//! `patchcord simulate --sms`: a text message from the customer, as Twilio brings it, and what is answered to it.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    args::Arguments,
    call::fresh_sid,
    doors::{Account, Doors, Form},
    outbox,
    outcome::SimulateError,
    print::Printer,
    session,
    watch::{Live, watch},
};
use crate::domain::{ids::MessageId, secret::Secret};

const INBOUND: &str = "/twilio/sms";
/// Quiet on the live stream for this long means that nothing more comes of it.
const QUIET: Duration = Duration::from_secs(3);

/// Sends `text` from the customer's number, and shows what goes to that number until nothing more happens.
///
/// # Errors
/// [`SimulateError`] of the door or stream that failed.
pub async fn send(arguments: &Arguments, text: &str) -> Result<(), SimulateError> {
    let account = Account {
        sid: arguments.account_sid.clone(),
        token: Secret::new(arguments.auth_token.clone()),
    };
    let doors = Doors::new(&arguments.server, arguments.public_url.as_deref(), account)?;
    let mut printer = Printer::new(arguments.json, false);
    let mut live = if arguments.blind {
        None
    } else {
        Some(watch(&doors, &session::sign_in(arguments)).await?)
    };
    let before = match &live {
        Some(live) => ids(&doors, live).await?,
        None => BTreeSet::new(),
    };
    let (from, to) = (arguments.from.as_str(), arguments.to.as_str());
    printer.headline(&format!("Writing from {from} to {to}: {text}"))?;
    bring(&doors, (from, to), text).await?;
    let Some(live) = &mut live else { return Ok(()) };
    until_quiet(live, Duration::from_secs(arguments.settle)).await?;
    for message in outbox::newest(&doors, live.token()).await? {
        if message.to == from && !before.contains(&message.id) {
            printer.message(&message)?;
        }
    }
    Ok(())
}

/// Brings `text` as Twilio does.
///
/// # Errors
/// [`SimulateError`] of the door.
pub(super) async fn bring(doors: &Doors, (from, to): (&str, &str), text: &str) -> Result<(), SimulateError> {
    let form = form(&doors.account().sid, (from, to), text);
    doors.post(INBOUND, &form).await.map(drop)
}

async fn ids(doors: &Doors, live: &Live) -> Result<BTreeSet<MessageId>, SimulateError> {
    let messages = outbox::newest(doors, live.token()).await?;
    Ok(messages.into_iter().map(|message| message.id).collect())
}

/// Listens until nothing is told for a while, or `limit` is over.
async fn until_quiet(live: &mut Live, limit: Duration) -> Result<(), SimulateError> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        match timeout(QUIET, live.next()).await {
            Ok(heard) => drop(heard?),
            Err(_) => break,
        }
    }
    Ok(())
}

/// What Twilio says of a message that came in.
fn form(account: &str, (from, to): (&str, &str), text: &str) -> Form {
    let sid = fresh_sid("SM");
    [
        ("MessageSid", sid.as_str()),
        ("SmsSid", &sid),
        ("SmsMessageSid", &sid),
        ("AccountSid", account),
        ("From", from),
        ("To", to),
        ("Body", text),
        ("SmsStatus", "received"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("ApiVersion", "2010-04-01"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
