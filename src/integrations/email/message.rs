//! The message itself, as it goes over the wire.
//!
//! In: what a run asks for. Out: envelope and bytes. Everything that tells two messages apart comes from the effect, so a
//! further attempt carries the same `Message-ID` and receivers that know it drop the repeat.

use std::time::{Duration, SystemTime};

use lettre::{
    Address, Message,
    address::Envelope,
    message::{Mailbox, MultiPart, SinglePart},
};

use crate::workflows::{Effect, effect::EmailMessage};

/// A message ready to be sent.
#[derive(Debug)]
pub(super) struct Letter {
    pub envelope: Envelope,
    pub bytes: Vec<u8>,
}

/// The `Message-ID` of the message an effect sends: the same for every attempt.
#[must_use]
pub fn message_id_of(effect: &Effect, from: &Mailbox) -> String {
    format!("<{}@{}>", effect.message_id(), from.email.domain())
}

/// Writes the message.
///
/// # Errors
/// Why it cannot be written: an address that mail servers do not take.
pub(super) fn letter(effect: &Effect, email: &EmailMessage, from: &Mailbox) -> Result<Letter, String> {
    let written_at = SystemTime::UNIX_EPOCH + Duration::from_millis(effect.planned_at.as_unix_millis());
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(email.subject.clone())
        .date(written_at)
        .message_id(Some(message_id_of(effect, from)));
    for to in &email.to {
        builder = builder.to(mailbox(to)?);
    }
    for cc in &email.cc {
        builder = builder.cc(mailbox(cc)?);
    }
    if let Some(reply_to) = &email.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    let text = SinglePart::plain(email.text.clone());
    let message = match &email.html {
        Some(html) => builder.multipart(
            MultiPart::alternative()
                .singlepart(text)
                .singlepart(SinglePart::html(html.clone())),
        ),
        None => builder.singlepart(text),
    };
    let message = message.map_err(|error| error.to_string())?;
    Ok(Letter {
        envelope: message.envelope().clone(),
        bytes: message.formatted(),
    })
}

fn mailbox(address: &str) -> Result<Mailbox, String> {
    let parsed: Address = address
        .parse()
        .map_err(|error| format!("`{address}` is not an e-mail address: {error}"))?;
    Ok(Mailbox::new(None, parsed))
}
