//! What we send to Twilio, judged by Twilio's own OpenAPI: Prism serves it and refuses whatever it does not describe.
//!
//! Skipped, with the reason printed, where Prism is not there (`scripts/setup-test` needs npm).

use std::time::Duration;

use patchcord::{
    domain::{
        ids::{CallSid, RoomSid},
        secret::Secret,
    },
    integrations::{
        address_guard::AllowList,
        client::HttpClient,
        line::Voice,
        twilio::{
            Routing, TwilioRest, TwilioSettings,
            participants::NewParticipant,
            rest::{NewCall, NewMessage, NewStream, RestError},
        },
    },
};

use reqwest::StatusCode;

use crate::support::{api::http, prism::Prism};

const ANSWER: &str = "https://calls.example.com/twilio/placed?e=msg_1.abc";
const CALLBACK: &str = "https://calls.example.com/twilio/sms/status?e=msg_1.abc#rc=5&rp=ct,rt,5xx";

fn twilio(prism: &Prism, account_sid: &str) -> TwilioRest {
    let settings = TwilioSettings {
        account_sid: account_sid.to_owned(),
        auth_token: Secret::new("token".to_owned()),
        api_base: prism.base().to_owned(),
        from_number: "+14155550100".to_owned(),
        routing: Routing::Record,
        dial_to: String::new(),
        dial_timeout_s: 20,
        supervision: false,
        consent_text: String::new(),
        say_text: String::new(),
        voicemail: true,
        messages_per_s: 1,
    };
    let http = HttpClient::new(AllowList::default()).expect("the machine has root certificates");
    TwilioRest::new(http, &settings).expect("an address")
}

fn message(status_callback: &str) -> NewMessage<'_> {
    NewMessage {
        to: "+14155550199",
        from: "+14155550100",
        body: "We tried to call you: 50 % off & more “today” 👍",
        status_callback,
        validity: Duration::from_secs(14_400),
    }
}

const fn new_call<'a>(machine_detection: Option<&'static str>, url: &'a str) -> NewCall<'a> {
    NewCall {
        to: "+14155550199",
        from: "+14155550100",
        url,
        status_callback: CALLBACK,
        timeout_s: 25,
        machine_detection,
    }
}

#[tokio::test]
async fn twilios_own_description_accepts_what_we_send_and_we_read_its_answers() {
    let Some(prism) = Prism::start(None).await else {
        return;
    };
    let account = format!("AC{:032x}", 1);
    let call = CallSid::new(format!("CA{:032x}", 1));
    let rest = twilio(&prism, &account);

    let sent = rest
        .create_message(&message(CALLBACK))
        .await
        .expect("the description takes it");
    assert!(sent.sid.starts_with("SM") && sent.sid.len() == 34, "{}", sent.sid);
    assert!(sent.date_created.is_some(), "its date is read");
    assert_eq!(sent.num_segments.as_deref(), Some("1"));

    for machine_detection in [None, Some("Enable"), Some("DetectMessageEnd")] {
        let placed = rest.create_call(&new_call(machine_detection, ANSWER)).await;
        let placed = placed.expect("the description takes it");
        assert!(
            placed.sid.starts_with("CA") && placed.sid.len() == 34,
            "{}",
            placed.sid
        );
        assert!(placed.date_created.is_some(), "its date is read");
    }
    let listed = rest
        .calls_between("+14155550100", "+14155550199")
        .await
        .expect("the description takes it");
    assert!(!listed.is_empty() && listed.iter().all(|call| call.date_created.is_some()));

    let listed = rest
        .messages_between("+14155550100", "+14155550199")
        .await
        .expect("the description takes it");
    assert!(!listed.is_empty() && listed.iter().all(|message| message.date_created.is_some()));

    let known = rest
        .call(&call)
        .await
        .expect("the description takes it")
        .expect("its example is a call");
    assert_eq!(
        (known.status.as_str(), known.duration.as_deref()),
        ("completed", Some("4"))
    );

    let (owned, told_at) = rest.account().await.expect("the description takes it");
    assert!(
        !owned.status.is_empty() && told_at.is_some(),
        "{owned:?} {told_at:?}"
    );
    let ended = rest.end_call(&call).await.expect("the description takes it");
    assert!(ended.is_some(), "its example is a call");

    let stream = NewStream {
        call: &call,
        url: "wss://calls.example.com/twilio/media/token",
        name: "reattached",
        status_callback: "https://calls.example.com/twilio/stream",
        parameters: &[("role_inbound", "customer"), ("t", "token")],
    };
    let started = rest
        .start_stream(&stream)
        .await
        .expect("the description takes it");
    assert!(started.sid.starts_with("MZ"), "{}", started.sid);
    numbers(&rest).await;
    rooms(&rest, &call).await;
    the_judge_is_awake(&prism, &rest, &account).await;
}

/// The account's numbers: its example has no address for calls yet.
async fn numbers(rest: &TwilioRest) {
    let number = rest.number("+18089255327").await;
    let number = number
        .expect("the description takes it")
        .expect("its example is a number");
    assert!(
        number.capabilities.voice && number.voice_url.is_empty(),
        "{number:?}"
    );
}

/// Legs that are dialled into a call's room, and how they are heard.
async fn rooms(rest: &TwilioRest, call: &CallSid) {
    let room = RoomSid::new(format!("CF{:032x}", 1));
    let agent = CallSid::new(format!("CA{:032x}", 2));
    let voices = [Voice::Muted, Voice::Coaching(agent.clone()), Voice::Open];
    for voice in &voices {
        let wanted = NewParticipant {
            room: &room,
            label: "monitor-1-usr_01h455vb4pex5vsknk084sn02q",
            from: "+14155550100",
            to: "+14155550177",
            voice,
            ends_conference: false,
            status_callback: CALLBACK,
            timeout_s: 30,
        };
        let dialled = rest.add_participant(&wanted).await;
        let dialled = dialled.expect("the description takes it");
        assert!(dialled.call_sid.starts_with("CA"), "{dialled:?}");
        let set = rest.set_participant(&room, &agent, voice).await;
        assert!(set.expect("the description takes it").is_some());
    }
    let found = rest.participant(&room, "agent-1").await;
    assert!(found.expect("the description takes it").is_some());
    let sent_on = rest.redirect_call(call, ANSWER).await;
    assert!(sent_on.expect("the description takes it").is_some());
    let wrong = rest
        .set_participant(&room, &agent, &Voice::Coaching(CallSid::new("the agent")))
        .await;
    assert!(
        matches!(wrong, Err(RestError::Refused { status: 422, .. })),
        "the judge is awake: {wrong:?}"
    );
}

/// It refuses what the description forbids, and a slip in a field's name.
async fn the_judge_is_awake(prism: &Prism, rest: &TwilioRest, account: &str) {
    let wrong_callback = rest.create_message(&message("not an address")).await;
    assert!(
        matches!(wrong_callback, Err(RestError::Refused { status: 422, .. })),
        "{wrong_callback:?}"
    );
    let wrong_call = rest.create_call(&new_call(None, "not an address")).await;
    assert!(
        matches!(wrong_call, Err(RestError::Refused { status: 422, .. })),
        "{wrong_call:?}"
    );
    let wrong_account = twilio(prism, "AC12").create_message(&message(CALLBACK)).await;
    assert!(
        matches!(wrong_account, Err(RestError::Refused { status: 422, .. })),
        "{wrong_account:?}"
    );
    let address = format!("{}/2010-04-01/Accounts/{account}/Messages.json", prism.base());
    for (validity, status) in [
        ("ValidityPeriod", StatusCode::CREATED),
        ("ValidtyPeriod", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let form = [
            ("To", "+14155550199"),
            ("From", "+14155550100"),
            ("Body", "hello"),
            ("StatusCallback", CALLBACK),
            (validity, "60"),
        ];
        let request = http().post(&address).basic_auth(account, Some("token"));
        let answer = request.form(&form).send().await.expect("Prism answers");
        assert_eq!(answer.status(), status, "{validity}");
    }
}
