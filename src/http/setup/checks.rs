//! Every check of the Setup page, in the order in which one goes live.
//!
//! Twilio is asked for its account and our numbers, our public address for its health and a stream. Each group has its time; nothing is
//! changed anywhere. What the operator sees to is shown to the account that the configured Twilio account belongs to, and no other.

use std::{future::Future, time::Duration};

use serde::Serialize;
use tokio::time::timeout;

use super::{
    Finding, StorePlace, keeping, media_stream,
    numbers::{self, Door, Looked, NUMBERS_MAX},
    public_address, twilio_account, used,
};
use crate::{
    domain::{ids::AccountId, number::Number},
    http::{context::Context, error::ApiResult, page::PageQuery, resources, twilio},
    integrations::{
        address_guard::AllowList,
        client::HttpClient,
        twilio::{TwilioRest, TwilioSettings},
    },
    store::StoreResult,
};

/// How long the questions to one side may take together.
const LOOK_WITHIN: Duration = Duration::from_secs(12);
const BY_OPERATOR: &str = "whoever runs this server sees to it";
const NOT_LIVE: &str = "the built-in outbox takes everything: nobody outside is asked";

/// Something that has to stand before real calls come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetupStep {
    /// Messages and calls reach people, not the built-in outbox.
    Effects,
    /// The public https address leads to this server.
    PublicAddress,
    /// Twilio takes the credentials.
    TwilioAccount,
    /// Calls to the numbers come to us.
    VoiceWebhook,
    /// So does word of their end.
    StatusCallback,
    /// Messages to the numbers come to us.
    MessageWebhook,
    /// The number that messages come from can send them.
    SmsSender,
    /// The audio of a call reaches us.
    MediaStream,
    /// Calls are transcribed.
    SpeechModel,
    /// A workflow is published and on.
    Workflow,
    /// A call was heard of.
    FirstCall,
    /// The key that seals secrets is readable by nobody else.
    MasterKey,
    /// The store is copied.
    Backups,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetupStatus {
    Ok,
    /// `fix` says what to do.
    Failed,
    /// Nothing to check, or something before it has to stand first: `said` tells which.
    Skipped,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SetupCheck {
    pub step: SetupStep,
    pub status: SetupStatus,
    #[schema(example = "the account is active, Full")]
    pub said: String,
    /// What to do when it failed.
    pub fix: Option<String>,
}

impl SetupCheck {
    fn new(step: SetupStep, finding: Finding) -> Self {
        let (status, said, fix) = match finding {
            Finding::Good(said) => (SetupStatus::Ok, said, None),
            Finding::Failed { said, fix } => (SetupStatus::Failed, said, Some(fix)),
            Finding::Skipped(said) => (SetupStatus::Skipped, said, None),
        };
        Self {
            step,
            status,
            said,
            fix,
        }
    }
}

/// Looks at everything for an account.
///
/// # Errors
/// When the store does not answer.
pub async fn look(context: &Context, account_id: AccountId) -> ApiResult<Vec<SetupCheck>> {
    let is_operators = twilio::account_of(context).await? == account_id;
    let phones = phones(context, account_id).await?;
    let (outside, keeping, workflow, first_call) = tokio::try_join!(
        async { StoreResult::Ok(outside(context, &phones, is_operators).await) },
        kept(context, account_id, is_operators),
        used::workflow(&context.store, account_id),
        used::first_call(&context.store, account_id),
    )?;
    let mut found = outside;
    found.push((SetupStep::SpeechModel, speech_model(context)));
    found.push((SetupStep::Workflow, workflow));
    found.push((SetupStep::FirstCall, first_call));
    found.extend(keeping);
    Ok(found
        .into_iter()
        .map(|(step, finding)| SetupCheck::new(step, finding))
        .collect())
}

type Found = Vec<(SetupStep, Finding)>;

/// What is between us and the world.
async fn outside(context: &Context, phones: &[String], is_operators: bool) -> Found {
    use SetupStep::{
        Effects, MediaStream, MessageWebhook, PublicAddress, SmsSender, StatusCallback, TwilioAccount,
        VoiceWebhook,
    };
    let seen_to = [
        Effects,
        PublicAddress,
        TwilioAccount,
        VoiceWebhook,
        StatusCallback,
        MessageWebhook,
        SmsSender,
        MediaStream,
    ];
    if !is_operators {
        return skipped(&seen_to, BY_OPERATOR);
    }
    let effects = effects(context);
    if !context.setup.is_live {
        let mut found = vec![(Effects, effects)];
        found.extend(skipped(&seen_to[1..], NOT_LIVE));
        return found;
    }
    let http = match HttpClient::new(AllowList::default()) {
        Ok(http) => http,
        Err(error) => {
            let finding = Finding::failed(
                error,
                "install the machine's root certificates (`ca-certificates`)",
            );
            let mut found = vec![(Effects, effects), (PublicAddress, finding)];
            found.extend(skipped(&seen_to[2..], "nothing outside can be asked"));
            return found;
        }
    };
    let (address, twilio, stream) = tokio::join!(
        within(public(context, &http)),
        at_twilio(context, &http, phones),
        within(stream(context)),
    );
    let mut found = vec![(Effects, effects), (PublicAddress, address)];
    found.extend(twilio);
    found.push((MediaStream, stream));
    found
}

fn skipped(steps: &[SetupStep], why: &str) -> Found {
    steps.iter().map(|step| (*step, Finding::skipped(why))).collect()
}

async fn within(look: impl Future<Output = Finding>) -> Finding {
    timeout(LOOK_WITHIN, look)
        .await
        .unwrap_or_else(|_| Finding::failed(format!("no answer within {LOOK_WITHIN:?}"), "look again"))
}

fn effects(context: &Context) -> Finding {
    if context.setup.is_live {
        Finding::good("messages and calls reach people")
    } else {
        Finding::failed(
            "messages and calls end in the built-in outbox",
            "start the server with `patchcord serve` and effects.mode = \"live\"",
        )
    }
}

async fn public(context: &Context, http: &HttpClient) -> Finding {
    let public = &context.settings.public_url;
    if !public.starts_with("https://") {
        let why = if public_address::is_loopback(public) {
            "leads to this machine only: Twilio cannot reach it"
        } else {
            "has no TLS: passwords and calls would travel in the clear"
        };
        return Finding::failed(
            format!("{public} {why}"),
            "put a proxy with a certificate in front of this server, and set server.public_url to its `https://…` address",
        );
    }
    // Of several nodes any may answer.
    let own = context.started_at.to_string();
    let here = (context.setup.store == StorePlace::File).then_some(own.as_str());
    public_address::look(http, public, here).await.0
}

async fn stream(context: &Context) -> Finding {
    if !is_set_up(&context.twilio) {
        return Finding::skipped("Twilio is not set up yet");
    }
    media_stream::look(context).await
}

fn is_set_up(twilio: &TwilioSettings) -> bool {
    !twilio.account_sid.is_empty() && !twilio.auth_token.is_empty()
}

/// The account at Twilio, and our numbers there.
async fn at_twilio(context: &Context, http: &HttpClient, phones: &[String]) -> Found {
    let numbers_first = |account: Finding, why: &str| {
        let mut found = vec![(SetupStep::TwilioAccount, account)];
        found.extend(skipped(
            &[
                SetupStep::VoiceWebhook,
                SetupStep::StatusCallback,
                SetupStep::MessageWebhook,
                SetupStep::SmsSender,
            ],
            why,
        ));
        found
    };
    let settings = &context.twilio;
    if !is_set_up(settings) {
        let fix = "set twilio.account_sid and twilio.auth_token as Twilio's console shows them, and start the server again";
        return numbers_first(
            Finding::failed("no account at Twilio is set", fix),
            "Twilio is not set up yet",
        );
    }
    let rest = match TwilioRest::new(http.clone(), settings) {
        Ok(rest) => rest,
        Err(error) => {
            let finding = Finding::failed(error, "correct twilio.api_base");
            return numbers_first(finding, "Twilio cannot be asked");
        }
    };
    let account = within(async { twilio_account::look(&rest, &settings.api_base).await.0 }).await;
    if matches!(account, Finding::Failed { .. }) {
        return numbers_first(account, "the account at Twilio comes first");
    }
    let mut found = vec![(SetupStep::TwilioAccount, account)];
    found.extend(at_numbers(context, &rest, phones).await);
    found
}

async fn at_numbers(context: &Context, rest: &TwilioRest, phones: &[String]) -> Found {
    let (settings, public) = (&context.twilio, &context.settings.public_url);
    let looked = timeout(LOOK_WITHIN, async {
        let mut looked = Vec::new();
        for phone in phones.iter().take(NUMBERS_MAX) {
            let known = rest.number(phone).await?;
            looked.push(Looked {
                phone: phone.clone(),
                known,
            });
        }
        Ok(looked)
    });
    let all = |finding: Finding| {
        [Door::Voice, Door::Status, Door::Message]
            .map(|door| (step_of(door), finding.clone()))
            .into_iter()
            .chain([(SetupStep::SmsSender, finding.clone())])
            .collect()
    };
    let looked = match looked.await {
        Ok(Ok(looked)) => looked,
        Ok(Err(error)) => return all(twilio_account::refused(&error, &settings.api_base)),
        Err(_) => {
            let said = format!("Twilio did not answer within {LOOK_WITHIN:?}");
            return all(Finding::failed(said, "look again"));
        }
    };
    let sender = (
        SetupStep::SmsSender,
        numbers::sender(&looked, &settings.from_number),
    );
    let doors = [Door::Voice, Door::Status, Door::Message].map(|door| {
        let finding = if looked.is_empty() {
            Finding::failed(
                "there is no number yet",
                "set twilio.from_number, or add the number under Numbers and agents",
            )
        } else {
            numbers::door(&looked, door, public)
        };
        (step_of(door), finding)
    });
    doors.into_iter().chain([sender]).collect()
}

const fn step_of(door: Door) -> SetupStep {
    match door {
        Door::Voice => SetupStep::VoiceWebhook,
        Door::Status => SetupStep::StatusCallback,
        Door::Message => SetupStep::MessageWebhook,
    }
}

/// The sender and the numbers that the account lists, each once.
async fn phones(context: &Context, account_id: AccountId) -> ApiResult<Vec<String>> {
    let mut phones: Vec<String> = Vec::new();
    let from = &context.twilio.from_number;
    if !from.is_empty() {
        phones.push(from.clone());
    }
    let listed = resources::list::<Number>(context, account_id, (None, None), PageQuery::default()).await?;
    for number in listed.0.items {
        let phone = number.phone.to_string();
        if !phones.contains(&phone) {
            phones.push(phone);
        }
    }
    Ok(phones)
}

fn speech_model(context: &Context) -> Finding {
    match &*context.speech_model {
        "" | "none" => Finding::failed(
            "none is loaded: calls are not transcribed",
            "run `patchcord model fetch`, then start the server again",
        ),
        name => Finding::Good(format!("{name} is loaded")),
    }
}

async fn kept(context: &Context, account_id: AccountId, is_operators: bool) -> StoreResult<Found> {
    if !is_operators {
        return Ok(skipped(&[SetupStep::MasterKey, SetupStep::Backups], BY_OPERATOR));
    }
    let key = keeping::master_key(&context.setup.key).await;
    let backups = keeping::backups(&context.store, account_id, context.setup.store).await?;
    Ok(vec![(SetupStep::MasterKey, key), (SetupStep::Backups, backups)])
}
