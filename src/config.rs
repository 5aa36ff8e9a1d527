//! Reads the configuration: compiled-in defaults, then a file, then the environment.
//!
//! In: `config/default.toml`, `--config FILE`, `PATCHCORD_<SECTION>__<KEY>`. Out: one checked `Settings`.
//! An unknown key is an error that names the nearest known one. Each section's type lives with its owner.

use std::{collections::BTreeSet, path::Path};

use config::{Config, Environment, File, FileFormat, Value, ValueKind};
use serde::Deserialize;

use crate::{
    actors::{
        asr::AsrSettings,
        cluster::ClusterSettings,
        gate::GateSettings,
        settings::{CallsSettings, EffectsSettings},
    },
    domain::{phone::PhoneNumber, secret::Secret},
    http::HttpSettings,
    integrations::{
        EmailSettings, SecuritySettings, SendgridSettings, SlackSettings,
        twilio::{Routing, TwilioSettings},
    },
    store::scylla::Address,
    telemetry::TelemetrySettings,
};

/// The defaults, with every key explained.
pub const DEFAULTS: &str = include_str!("../config/default.toml");
const ENV_PREFIX: &str = "PATCHCORD_";
/// How far a mistyped key may be from a known one to be offered as what was meant (Jaro-Winkler, 0 to 1).
const SIMILARITY_MIN: f64 = 0.7;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{source_name}: unknown key `{key}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        source_name: String,
        key: String,
        nearest: Option<String>,
    },
    #[error("{0}")]
    Invalid(String),
    #[error("{key}: {expected}")]
    Value { key: &'static str, expected: String },
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: HttpSettings,
    pub store: StoreSettings,
    pub redis: RedisSettings,
    pub cluster: ClusterSettings,
    pub twilio: TwilioSettings,
    pub slack: SlackSettings,
    pub email: EmailSettings,
    pub sendgrid: SendgridSettings,
    pub asr: AsrSettings,
    pub calls: CallsSettings,
    pub effects: EffectsSettings,
    pub gate: GateSettings,
    pub security: SecuritySettings,
    pub telemetry: TelemetrySettings,
    pub admin: AdminSettings,
}

/// Where state is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    pub url: String,
    pub readers: usize,
}

impl StoreSettings {
    /// Whether several processes may serve it at once.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.url.starts_with("scylla:")
    }
}

/// Where nodes share what may be lost.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// May hold a password.
    pub url: Secret,
}

/// The first admin without the browser.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    pub email: String,
    pub password: Secret,
}

/// Reads everything for this process.
///
/// # Errors
/// [`ConfigError`] naming where the mistake is, the key and what was expected.
pub fn load(file: Option<&Path>) -> Result<Settings, ConfigError> {
    load_from(file, std::env::vars())
}

fn load_from(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, ConfigError> {
    let defaults = parse(File::from_str(DEFAULTS, FileFormat::Toml))?;
    let known = keys(&defaults);
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(path) = file {
        let source = File::from(path).format(FileFormat::Toml);
        let name = path.display().to_string();
        refuse_unknown(&name, &keys(&parse(source.clone())?), &known)?;
        builder = builder.add_source(source);
    }
    // Variables without a section (PATCHCORD_LOG and the like) are not configuration keys.
    let sectioned: config::Map<String, String> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with(ENV_PREFIX) && name.contains("__"))
        .collect();
    let source = Environment::with_prefix("PATCHCORD")
        .prefix_separator("_")
        .separator("__")
        .source(Some(sectioned));
    let from_env = Config::builder()
        .add_source(source.clone())
        .build()
        .map_err(|error| ConfigError::Invalid(error.to_string()))?;
    refuse_unknown("the environment", &keys(&from_env), &known)?;
    let merged = builder
        .add_source(source)
        .build()
        .and_then(Config::try_deserialize::<Settings>)
        .map_err(|error| ConfigError::Invalid(error.to_string()))?;
    check(merged)
}

fn parse(source: impl config::Source + Send + Sync + 'static) -> Result<Config, ConfigError> {
    Config::builder()
        .add_source(source)
        .build()
        .map_err(|error| ConfigError::Invalid(error.to_string()))
}

/// The dotted names of every value in `config`.
fn keys(config: &Config) -> BTreeSet<String> {
    fn walk(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
        match &value.kind {
            ValueKind::Table(table) => {
                for (name, inner) in table {
                    let path = if prefix.is_empty() {
                        name.clone()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    walk(&path, inner, found);
                }
            }
            _ => {
                found.insert(prefix.to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk("", &config.cache, &mut found);
    found
}

fn refuse_unknown(
    source_name: &str,
    given: &BTreeSet<String>,
    known: &BTreeSet<String>,
) -> Result<(), ConfigError> {
    let Some(key) = given.difference(known).next() else {
        return Ok(());
    };
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(key, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate.clone());
    Err(ConfigError::UnknownKey {
        source_name: source_name.to_owned(),
        key: key.clone(),
        nearest,
    })
}

/// Checks what types alone cannot say.
fn check(settings: Settings) -> Result<Settings, ConfigError> {
    if settings.server.bind.parse::<std::net::SocketAddr>().is_err() {
        return Err(value(
            "server.bind",
            "expected an address and port like `127.0.0.1:8080`",
        ));
    }
    let public = &settings.server.public_url;
    if !public.is_empty()
        && (!public.starts_with("http") || public.ends_with('/') || url::Url::parse(public).is_err())
    {
        return Err(value(
            "server.public_url",
            "expected an address like `https://calls.example.com`, without a slash at its end",
        ));
    }
    check_store(&settings)?;
    let redis = settings.redis.url.expose();
    if !redis.is_empty() && !redis.starts_with("redis://") && !redis.starts_with("unix://") {
        return Err(value(
            "redis.url",
            "expected `redis://[user:password@]host:port[/database]` or `unix:///path`, or nothing",
        ));
    }
    check_cluster(&settings)?;
    let sid = &settings.twilio.account_sid;
    let is_sid = sid.len() == 34 && sid.starts_with("AC") && sid[2..].bytes().all(|b| b.is_ascii_hexdigit());
    if !sid.is_empty() && !is_sid {
        return Err(value("twilio.account_sid", "expected `AC` and 32 hex digits"));
    }
    if !sid.is_empty() && settings.twilio.auth_token.is_empty() {
        return Err(value(
            "twilio.auth_token",
            "expected the account's primary auth token, since twilio.account_sid is set",
        ));
    }
    check_numbers(&settings.twilio)?;
    if !(1..=540).contains(&settings.server.upload_timeout_s) {
        return Err(value("server.upload_timeout_s", "expected 1 to 540 seconds"));
    }
    check_telemetry(&settings.telemetry)?;
    if let Err(error) = settings.gate.rules() {
        return Err(value(error.key, error.expected));
    }
    let key = settings.security.master_key.expose();
    if !key.is_empty() && (key.len() != 64 || !key.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(value("security.master_key", "expected 64 hex digits"));
    }
    Ok(settings)
}

/// Where traces go, and how many.
fn check_telemetry(telemetry: &TelemetrySettings) -> Result<(), ConfigError> {
    let endpoint = &telemetry.otlp_endpoint;
    if !endpoint.is_empty() && (!endpoint.starts_with("http") || url::Url::parse(endpoint).is_err()) {
        return Err(value(
            "telemetry.otlp_endpoint",
            "expected an address like `http://127.0.0.1:4318`, or nothing",
        ));
    }
    if let Err(expected) = telemetry.headers() {
        return Err(value("telemetry.otlp_headers", &expected));
    }
    if !(0.0..=1.0).contains(&telemetry.sample_ratio) {
        return Err(value("telemetry.sample_ratio", "expected 0 to 1"));
    }
    if !(1..=1_000_000).contains(&telemetry.queue_max) {
        return Err(value("telemetry.queue_max", "expected 1 to 1000000"));
    }
    Ok(())
}

/// The numbers that calls and messages go out from, and that calls are passed to.
fn check_numbers(twilio: &TwilioSettings) -> Result<(), ConfigError> {
    let is_number = |text: &str| text.parse::<PhoneNumber>().is_ok();
    if !twilio.from_number.is_empty() && !is_number(&twilio.from_number) {
        return Err(value(
            "twilio.from_number",
            "expected a number like `+14155550100`, or nothing",
        ));
    }
    let must_dial = !twilio.account_sid.is_empty() && twilio.routing == Routing::Dial;
    if !is_number(&twilio.dial_to) && (must_dial || !twilio.dial_to.is_empty()) {
        return Err(value(
            "twilio.dial_to",
            "expected the agent's number like `+14155550123`: inbound calls go there with routing = \"dial\"",
        ));
    }
    Ok(())
}

fn check_cluster(settings: &Settings) -> Result<(), ConfigError> {
    let cluster = &settings.cluster;
    if cluster.listen.parse::<std::net::SocketAddr>().is_err() {
        return Err(value(
            "cluster.listen",
            "expected an address and port like `10.0.0.3:9080`",
        ));
    }
    let address = &cluster.advertise;
    if !address.is_empty()
        && (!address.starts_with("http") || address.ends_with('/') || url::Url::parse(address).is_err())
    {
        return Err(value(
            "cluster.advertise",
            "expected an address like `http://10.0.0.3:9080`, without a slash at its end",
        ));
    }
    if !(3..=60).contains(&cluster.lease_ttl_s) {
        return Err(value("cluster.lease_ttl_s", "expected 3 to 60 seconds"));
    }
    Ok(())
}

/// A database of its own keeps no key file: every node must be told the same key.
fn check_store(settings: &Settings) -> Result<(), ConfigError> {
    let url = &settings.store.url;
    if Address::is_meant_by(url) {
        if let Err(error) = url.parse::<Address>() {
            return Err(value("store.url", &error.to_string()));
        }
        if settings.security.master_key.is_empty() {
            return Err(value(
                "security.master_key",
                "expected 64 hex digits, the same on every node, since store.url is a database that nodes share",
            ));
        }
    } else if !url.starts_with("sqlite:") {
        return Err(value(
            "store.url",
            "expected `sqlite:<path>` or `scylla://host:port/keyspace?replication=3`",
        ));
    }
    Ok(())
}

fn value(key: &'static str, expected: &str) -> ConfigError {
    ConfigError::Value {
        key,
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn with_env(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        load_from(
            None,
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn the_environment_overrides_a_file_which_overrides_the_defaults() {
        let mut file = tempfile::Builder::new()
            .suffix(".toml")
            .tempfile()
            .expect("a temporary file");
        write!(file, "[server]\nbind = \"127.0.0.1:1\"\nbody_bytes_max = 7\n").expect("written");
        let env = [("PATCHCORD_SERVER__BIND".to_owned(), "127.0.0.1:2".to_owned())];
        let settings = load_from(Some(file.path()), env).expect("valid");
        assert_eq!(settings.server.bind, "127.0.0.1:2");
        assert_eq!(settings.server.body_bytes_max, 7);
        assert_eq!(settings.asr.model, "tiny.en");
    }

    #[test]
    fn a_phone_number_from_the_environment_keeps_its_plus() {
        let settings = with_env(&[("PATCHCORD_TWILIO__FROM_NUMBER", "+14155550100")]).expect("valid");
        assert_eq!(settings.twilio.from_number, "+14155550100");
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let error = with_env(&[("PATCHCORD_SERVER__BNID", "x")]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "the environment: unknown key `server.bnid`; did you mean `server.bind`?"
        );
    }

    #[test]
    fn a_wrong_value_names_its_key_and_what_was_expected() {
        let error = with_env(&[("PATCHCORD_TWILIO__ACCOUNT_SID", "AC12")]).expect_err("wrong");
        assert_eq!(
            error.to_string(),
            "twilio.account_sid: expected `AC` and 32 hex digits"
        );
        assert!(with_env(&[("PATCHCORD_TWILIO__FROM_NUMBER", "555")]).is_err());
        let dialing = [
            (
                "PATCHCORD_TWILIO__ACCOUNT_SID",
                "AC00000000000000000000000000000001",
            ),
            ("PATCHCORD_TWILIO__AUTH_TOKEN", "secret"),
            ("PATCHCORD_TWILIO__ROUTING", "dial"),
        ];
        let error = with_env(&dialing).expect_err("nobody to dial");
        assert!(error.to_string().starts_with("twilio.dial_to: "), "{error}");
        assert!(with_env(&[("PATCHCORD_STORE__READERS", "many")]).is_err());
        assert!(with_env(&[("PATCHCORD_REDIS__URL", "localhost:6379")]).is_err());
    }

    #[test]
    fn variables_without_a_section_are_left_alone() {
        assert!(with_env(&[("PATCHCORD_LOG", "debug"), ("PATCHCORD_CACHE", "/x")]).is_ok());
    }

    #[test]
    fn the_compose_file_and_the_image_set_only_keys_there_are() {
        let known = keys(&parse(File::from_str(DEFAULTS, FileFormat::Toml)).expect("the defaults"));
        let mut count = 0;
        for text in [
            include_str!("../docker-compose.yml"),
            include_str!("../Dockerfile"),
        ] {
            for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
                let Some((section, key)) = word
                    .strip_prefix(ENV_PREFIX)
                    .and_then(|rest| rest.split_once("__"))
                else {
                    continue;
                };
                let key = format!("{}.{}", section.to_lowercase(), key.to_lowercase());
                assert!(known.contains(&key), "{key} is no key");
                count += 1;
            }
        }
        assert!(count > 10, "the keys were not found");
    }

    #[test]
    fn nodes_are_told_what_is_wrong_with_their_addresses() {
        for (key, wrong) in [
            ("PATCHCORD_CLUSTER__LISTEN", "node-1:9080"),
            ("PATCHCORD_CLUSTER__ADVERTISE", "node-1:9080"),
            ("PATCHCORD_CLUSTER__LEASE_TTL_S", "1"),
        ] {
            assert!(with_env(&[(key, wrong)]).is_err(), "{key}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let settings = with_env(&[("PATCHCORD_ADMIN__PASSWORD", "hunter2")]).expect("valid");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
