//! What we send to Twilio, judged by Twilio's own OpenAPI: Prism serves it and refuses whatever it does not describe.
//!
//! Skipped, with the reason printed, where Prism is not installed (`scripts/setup-test` needs npm).

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use patchcord::{
    domain::{ids::CallSid, secret::Secret},
    integrations::{
        address_guard::AllowList,
        client::HttpClient,
        twilio::{
            Routing, TwilioRest, TwilioSettings,
            rest::{NewMessage, NewStream, RestError},
        },
    },
};

use crate::support::eventually::eventually;

/// What `scripts/prism` ends with when there is no Prism.
const NOT_INSTALLED: i32 = 3;
const CALLBACK: &str = "https://calls.example.com/twilio/sms/status?e=msg_1.abc#rc=5&rp=ct,rt,5xx";

/// A running Prism; stopped with the value.
struct Prism {
    process: Child,
    base: String,
}

impl Prism {
    /// Starts Prism and waits until it answers; `None` where it is not installed.
    async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port")
            .port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/prism");
        let process = Command::new(script)
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the script is in the repository");
        let mut prism = Self {
            process,
            base: format!("http://127.0.0.1:{port}"),
        };
        let is_up = eventually("Prism answers or gives up", || {
            let ended = prism.process.try_wait().expect("it is our child");
            async move {
                match ended {
                    Some(status) => {
                        assert_eq!(status.code(), Some(NOT_INSTALLED), "Prism ended at once");
                        Some(false)
                    }
                    None => tokio::net::TcpStream::connect(("127.0.0.1", port))
                        .await
                        .ok()
                        .map(|_| true),
                }
            }
        })
        .await;
        is_up.then_some(prism)
    }

    fn twilio(&self, account_sid: &str) -> TwilioRest {
        let settings = TwilioSettings {
            account_sid: account_sid.to_owned(),
            auth_token: Secret::new("token".to_owned()),
            api_base: self.base.clone(),
            from_number: "+14155550100".to_owned(),
            routing: Routing::Record,
            dial_to: String::new(),
            dial_timeout_s: 20,
            conference: String::new(),
            consent_text: String::new(),
            say_text: String::new(),
            voicemail: true,
            messages_per_s: 1,
        };
        let http = HttpClient::new(AllowList::default()).expect("the machine has root certificates");
        TwilioRest::new(http, &settings).expect("an address")
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        // TERM, not KILL: the script stops its own child and removes its files.
        let stopped = Command::new("kill")
            .arg(self.process.id().to_string())
            .status()
            .and_then(|_| self.process.wait());
        assert!(stopped.is_ok(), "Prism could not be stopped");
    }
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

#[tokio::test]
async fn twilios_own_description_accepts_what_we_send_and_we_read_its_answers() {
    let Some(prism) = Prism::start().await else {
        println!("skipped: Prism is not installed; run scripts/setup-test where npm can be reached");
        return;
    };
    let account = format!("AC{:032x}", 1);
    let call = CallSid::new(format!("CA{:032x}", 1));
    let twilio = prism.twilio(&account);

    let sent = twilio
        .create_message(&message(CALLBACK))
        .await
        .expect("the description takes it");
    assert!(sent.sid.starts_with("SM") && sent.sid.len() == 34, "{}", sent.sid);
    assert!(sent.date_created.is_some(), "its date is read");
    assert_eq!(sent.num_segments.as_deref(), Some("1"));

    let listed = twilio
        .messages_between("+14155550100", "+14155550199")
        .await
        .expect("the description takes it");
    assert!(!listed.is_empty() && listed.iter().all(|message| message.date_created.is_some()));

    let known = twilio
        .call(&call)
        .await
        .expect("the description takes it")
        .expect("its example is a call");
    assert_eq!(
        (known.status.as_str(), known.duration.as_deref()),
        ("completed", Some("4"))
    );

    let stream = NewStream {
        call: &call,
        url: "wss://calls.example.com/twilio/media/token",
        name: "reattached",
        status_callback: "https://calls.example.com/twilio/stream",
        parameters: &[("role_inbound", "customer"), ("t", "token")],
    };
    let started = twilio
        .start_stream(&stream)
        .await
        .expect("the description takes it");
    assert!(started.sid.starts_with("MZ"), "{}", started.sid);

    // The judge is awake: it refuses what the description forbids.
    let wrong_callback = twilio.create_message(&message("not an address")).await;
    assert!(
        matches!(wrong_callback, Err(RestError::Refused { status: 422, .. })),
        "{wrong_callback:?}"
    );
    let wrong_account = prism.twilio("AC12").create_message(&message(CALLBACK)).await;
    assert!(
        matches!(wrong_account, Err(RestError::Refused { status: 422, .. })),
        "{wrong_account:?}"
    );
}
