//! Whether our public address leads to this server, as the outside sees it.

use reqwest::Method;
use serde::Deserialize;
use url::{Host, Url};

use super::Finding;
use crate::{
    domain::time::Timestamp,
    integrations::client::{self, HttpClient, Reply},
};

/// Asks `public` for its health. `here`: when the server began that should answer, where that tells it from others. Returns the
/// time of whoever answered too.
pub async fn look(http: &HttpClient, public: &str, here: Option<&str>) -> (Finding, Option<Timestamp>) {
    match get(http, public, "/livez").await {
        Ok(reply) => (judged(http, public, here, &reply).await, reply.date()),
        Err(said) => {
            let fix = "start the server and the proxy in front of it, or correct server.public_url";
            (Finding::failed(said, fix), None)
        }
    }
}

/// Whether `url` is this machine's own.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// When the server at `base` began, by its own word.
pub async fn started_at(http: &HttpClient, base: &str) -> Option<String> {
    let reply = get(http, base, "/healthz").await.ok()?;
    let health: Health = serde_json::from_slice(&reply.body).ok()?;
    Some(health.started_at)
}

/// Whether what answered is this server, over TLS.
async fn judged(http: &HttpClient, public: &str, here: Option<&str>, answer: &Reply) -> Finding {
    let lives = serde_json::from_slice::<Word>(&answer.body).is_ok_and(|word| word.status == "ok");
    if answer.status != 200 || !lives {
        return Finding::failed(
            format!(
                "{public}/livez answers {}, and not as patchcord does",
                answer.status
            ),
            "let the proxy pass everything on to server.bind",
        );
    }
    if let (Some(here), Some(there)) = (here, started_at(http, public).await)
        && here != there
    {
        return Finding::failed(
            format!("{public} is another server than this one"),
            "let the proxy pass on to server.bind, or correct server.public_url",
        );
    }
    if public.starts_with("https://") {
        Finding::Good(format!("{public} answers"))
    } else if is_loopback(public) {
        Finding::Good(format!(
            "{public} answers; nobody outside this machine reaches it"
        ))
    } else {
        Finding::failed(
            format!("{public} answers without TLS: passwords and calls travel in the clear"),
            "put a proxy with a certificate in front and set server.public_url to `https://…`",
        )
    }
}

#[derive(Deserialize)]
struct Word {
    status: String,
}

#[derive(Deserialize)]
struct Health {
    started_at: String,
}

async fn get(http: &HttpClient, base: &str, path: &str) -> Result<Reply, String> {
    let url = Url::parse(&format!("{base}{path}")).map_err(|error| format!("{base}: {error}"))?;
    let sent = client::send(http.configured(Method::GET, url)).await;
    sent.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        for own in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["https://calls.example.com", "http://10.0.0.3:8080", "nothing"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
