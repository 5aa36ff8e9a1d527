//! The doors for text messages: `/twilio/sms` for what people send us, `/twilio/sms/status` for what became of ours.

use axum::extract::State;
use serde_json::json;

use super::{
    answer::Twiml,
    request::{TwilioRequest, account, refused},
};
use crate::{
    clock,
    domain::{
        consent::ConsentChange,
        ids::{AccountId, LeadId, MessageId, ObservationId},
        lead::Lead,
        message::{Channel, Direction, Message, MessageStatus},
        observation::{EventType, Observation},
        redaction,
        time::Timestamp,
    },
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    integrations::twilio::{callback_token, words},
    store::Recorded,
};

/// Longest text that may be one of the carriers' words.
const WORD_CHARS_MAX: usize = 12;

/// What a message asks of us beyond being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Stop,
    Start,
    /// Twilio or the carrier answers it.
    Help,
}

impl Keyword {
    /// Reads Twilio's own verdict, else the whole text as one of the carriers' words.
    fn of(request: &TwilioRequest) -> Option<Self> {
        let word = request
            .get("OptOutType")
            .or_else(|| request.get("Body"))
            .unwrap_or_default();
        Self::read(word)
    }

    fn read(text: &str) -> Option<Self> {
        let whole = text.trim_matches(|c: char| !c.is_alphanumeric());
        if whole.chars().count() > WORD_CHARS_MAX {
            return None;
        }
        // `opt-out`, `STOP ALL`: people write one word as two.
        let word: String = whole.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        match word.to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => {
                Some(Self::Stop)
            }
            // YES lifts an opt-out at Twilio too, but is an answer to too many questions to be taken for one here.
            "START" | "UNSTOP" => Some(Self::Start),
            "HELP" | "INFO" => Some(Self::Help),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
        }
    }
}

/// Takes in a message that somebody sent us.
pub async fn inbound(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let account_id = account(&context).await?;
    let sid = request.sid("MessageSid")?.to_owned();
    let sms = InboundSms {
        context: &context,
        request: &request,
        account_id,
        sid,
        body: redaction::redact(request.get("Body").unwrap_or_default()),
        at: clock::now(),
    };
    sms.take_in().await?;
    Ok(Twiml::nothing())
}

/// One inbound message on its way in.
struct InboundSms<'a> {
    context: &'a Context,
    request: &'a TwilioRequest,
    account_id: AccountId,
    sid: String,
    /// The text as it may be stored.
    body: String,
    at: Timestamp,
}

impl InboundSms<'_> {
    /// Takes every step in an order in which a repeat after a crash finds the rest to do: the message itself is last.
    async fn take_in(&self) -> ApiResult<()> {
        let store = &self.context.store;
        if store
            .messages
            .by_provider_id(self.account_id, &self.sid)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let lead_id = self.lead().await?;
        let keyword = Keyword::of(self.request);
        if let (Some(lead_id), Some(keyword)) = (lead_id, keyword) {
            self.obey(lead_id, keyword).await?;
        }
        let mut data = json!({
            "from": self.text("From"),
            "to": self.text("To"),
            "body": self.body,
            "media": self.request.number::<u32>("NumMedia").unwrap_or(0),
            "message_id": self.message_id(),
        });
        if let Some(keyword) = keyword {
            data["keyword"] = keyword.as_str().into();
        }
        self.observe(EventType::SMS_RECEIVED, lead_id, data).await?;
        store.messages.record(self.message(lead_id)).await?;
        Ok(())
    }

    /// The sender's lead; none for senders that are no telephone number.
    async fn lead(&self) -> ApiResult<Option<LeadId>> {
        let Ok(phone) = self.text("From").parse() else {
            return Ok(None);
        };
        let stranger = Lead {
            phone: Some(phone),
            ..Lead::nameless(self.context.leads.fresh_lead_id(), self.account_id, self.at)
        };
        let (lead, is_new) = self.context.store.leads.find_or_create_by_phone(stranger).await?;
        if is_new {
            let data = json!({"source": "sms", "phone": lead.phone});
            self.observe(EventType::LEAD_CREATED, Some(lead.id), data).await?;
        }
        Ok(Some(lead.id))
    }

    /// STOP silences us towards the person, START lifts that.
    async fn obey(&self, lead_id: LeadId, keyword: Keyword) -> ApiResult<()> {
        let (change, kind) = match keyword {
            Keyword::Stop => (ConsentChange::stop(), EventType::LEAD_OPTED_OUT),
            Keyword::Start => (ConsentChange::start(), EventType::LEAD_UPDATED),
            Keyword::Help => return Ok(()),
        };
        let leads = &self.context.store.leads;
        let (lead, _) = leads
            .change_consent(self.account_id, lead_id, change, self.at)
            .await?;
        let data = json!({
            "source": "sms",
            "opted_out": lead.opted_out,
            "opted_out_of": lead.opted_out_of,
            "word": self.body,
        });
        self.observe(kind, Some(lead_id), data).await
    }

    async fn observe(
        &self,
        kind: EventType,
        lead_id: Option<LeadId>,
        data: serde_json::Value,
    ) -> ApiResult<()> {
        let parts = [
            self.account_id.as_bytes().as_slice(),
            self.sid.as_bytes(),
            kind.as_str().as_bytes(),
        ];
        let observation = Observation {
            // No time in it: a repeated delivery must give the same id.
            id: ObservationId::derived(Timestamp::default(), &parts),
            account_id: self.account_id,
            kind,
            at: self.at,
            lead_id,
            call_id: None,
            caused_by: None,
            trace: None,
            data,
        };
        self.context.leads.observe(observation).await?;
        Ok(())
    }

    fn message(&self, lead_id: Option<LeadId>) -> Message {
        Message {
            id: self.message_id(),
            account_id: self.account_id,
            channel: Channel::Sms,
            direction: Direction::Inbound,
            from: self.text("From").to_owned(),
            to: self.text("To").to_owned(),
            body: self.body.clone(),
            call: None,
            status: MessageStatus::Received,
            provider_id: Some(self.sid.clone()),
            error: None,
            lead_id,
            run_id: None,
            created_at: self.at,
            updated_at: self.at,
        }
    }

    fn message_id(&self) -> MessageId {
        MessageId::derived(
            Timestamp::default(),
            &[self.account_id.as_bytes(), self.sid.as_bytes()],
        )
    }

    fn text(&self, name: &str) -> &str {
        self.request.get(name).unwrap_or_default()
    }
}

/// Takes in what became of a message that we sent. A status that ranks below the known one changes nothing.
pub async fn status(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let account_id = account(&context).await?;
    let sid = request.sid("MessageSid")?;
    let word = request.required("MessageStatus")?;
    let status = words::message_status(word);
    let id = if let Some(token) = request.query(callback_token::PARAMETER) {
        callback_token::open(&context.signing_keys.borrow(), token)
            .ok_or_else(|| refused("bad_callback_token", "the callback token is not one of ours"))?
    } else {
        let sent = context.store.messages.by_provider_id(account_id, sid).await?;
        sent.ok_or(ApiError::Missing { what: "message" })?.id
    };
    // Reads within the account: a token must not move another account's message.
    context.store.messages.get(account_id, id).await?;
    let provider_id = Some(sid.to_owned());
    let recorded = context
        .store
        .messages
        .progress(id, status, provider_id, error_of(&request), clock::now())
        .await?;
    tracing::debug!(message_id = %id, word, is_fresh = recorded == Recorded::Fresh, "a message moved on");
    Ok(Twiml::nothing())
}

/// Twilio's error as it came: `30006 Landline or unreachable carrier`.
fn error_of(request: &TwilioRequest) -> Option<String> {
    let code = request.get("ErrorCode").filter(|code| *code != "0")?;
    let words = request.get("ErrorMessage").unwrap_or_default();
    Some(format!("{code} {words}").trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carriers_words_count_only_when_they_are_the_whole_message() {
        for word in [
            "STOP",
            " stop ",
            "Stop.",
            "stopall",
            "UNSUBSCRIBE",
            "cancel",
            "End",
            "quit",
            "revoke",
            "OptOut",
            "“STOP”",
            "opt-out",
            "Stop all!!",
            "stop \u{1f6d1}",
        ] {
            assert_eq!(Keyword::read(word), Some(Keyword::Stop), "{word:?}");
        }
        assert_eq!(Keyword::read("start"), Some(Keyword::Start));
        assert_eq!(Keyword::read("Un-stop"), Some(Keyword::Start));
        assert_eq!(Keyword::read("Help!"), Some(Keyword::Help));
        for text in [
            "",
            "...",
            "can cel led",
            "e.n.d",
            "please stop by at noon",
            "yes",
            "stop it now",
            "ok",
        ] {
            assert_eq!(Keyword::read(text), None, "{text:?}");
        }
    }
}
