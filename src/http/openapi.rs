//! The API description: OpenAPI 3.1, generated from the handlers, served and printed alike.
//!
//! In: every route with its description. Out: one document; `/openapi.json`, `/docs` and `patchcord openapi` show the same.
//! What every operation has in common (who may call it, how it fails) is added here once.

mod doors;
mod failures;

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    routing::get,
};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::{
    OpenApi,
    openapi::{
        self, HttpMethod,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    api,
    context::Context,
    error::{FieldError, Problem},
    health, live, metrics, ui,
};
use crate::domain::ids::{
    AccountId, AgentId, AlertId, AppointmentId, CallId, DeliveryId, ImportId, KeyId, LeadId, MessageId,
    NumberId, ObservationId, PaymentId, QuoteId, RunId, SessionId, TaskId, UserId, WebhookId, WorkflowId,
};

/// What the document says besides the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "patchcord",
        description = "Telephony automation: calls heard, understood and acted on while they happen.\n\n\
            Every request but those marked otherwise carries `Authorization: Bearer` with an access token or an API key. \
            Errors are `application/problem+json` (RFC 9457). Lists take `limit` and `cursor`. Times are RFC 3339 in UTC, \
            ids are TypeIDs. A POST with an `Idempotency-Key` is carried out once and answered the same for 24 hours; \
            signing in and the like have no account yet and ignore the header.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    components(schemas(
        Problem,
        FieldError,
        AccountId,
        UserId,
        KeyId,
        SessionId,
        WorkflowId,
        RunId,
        LeadId,
        CallId,
        TaskId,
        AlertId,
        ObservationId,
        MessageId,
        AppointmentId,
        QuoteId,
        PaymentId,
        ImportId,
        AgentId,
        NumberId,
        DeliveryId,
        WebhookId
    )),
    security(("bearer" = [])),
    tags(
        (name = "auth", description = "Signing in and out"),
        (name = "people", description = "The people and API keys of the account"),
        (name = "workflows", description = "What is done when something happens"),
        (name = "runs", description = "What was done, step by step"),
        (name = "leads", description = "The people outside"),
        (name = "calls", description = "Calls and what was said"),
        (name = "alerts", description = "What a supervisor should look at"),
        (name = "tasks", description = "What people have to do"),
        (name = "appointments", description = "Who comes when, and who did not"),
        (name = "quotes", description = "What was offered"),
        (name = "payments", description = "What came in"),
        (name = "agents", description = "Who answers calls"),
        (name = "numbers", description = "Where calls to the account's numbers go"),
        (name = "messages", description = "What was sent and received"),
        (name = "events", description = "What others tell us"),
        (name = "twilio", description = "What the telephony provider calls"),
        (name = "live", description = "What happens, as it happens"),
        (name = "operating", description = "For whoever runs the server"),
    ),
)]
struct Document;

/// Every described route.
#[must_use]
pub fn described() -> OpenApiRouter<Context> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(api::router())
        .routes(routes!(live::open))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::healthz))
        .routes(routes!(metrics::show))
}

/// The document.
#[must_use]
pub fn document() -> openapi::OpenApi {
    let (_, mut document) = described().split_for_parts();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An access token from `/api/auth/login`, or an API key from `/api/keys`.",
        ))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document.paths.paths.extend(doors::paths());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            failures::complete(path, &method, operation);
        }
    }
    document
}

/// The document as it is printed and committed.
#[must_use]
pub fn to_text(document: &openapi::OpenApi) -> String {
    let mut text = document
        .to_pretty_json()
        .expect("our own document has only text keys");
    text.push('\n');
    text
}

/// `/openapi.json` and the interactive `/docs`, which load nothing from elsewhere.
pub fn pages() -> Router {
    let document = Arc::new(document());
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    // Its scripts and styles are files of ours, as those of the pages are.
    let policy = HeaderValue::from_static(ui::POLICY);
    let docs = Router::new()
        .merge(docs)
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CONTENT_SECURITY_POLICY,
            policy,
        ));
    Router::new()
        .route(
            "/openapi.json",
            get(move || std::future::ready(Json(Arc::clone(&document)))),
        )
        .merge(docs)
}

/// The operations of a path.
pub(super) fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::twilio;

    /// axum's own names for everything that is not an address.
    const FALLBACK: [&str; 2] = ["/", "/{*__private__axum_fallback}"];

    #[test]
    fn the_committed_document_is_the_generated_one() {
        let generated = to_text(&document());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        if std::env::var_os("PATCHCORD_WRITE_OPENAPI").is_some() {
            std::fs::write(path, &generated).expect("docs/openapi.json can be written");
        }
        let committed = std::fs::read_to_string(path).expect("docs/openapi.json is there");
        assert!(
            committed == generated,
            "run `PATCHCORD_WRITE_OPENAPI=1 cargo test --lib openapi`"
        );
    }

    #[test]
    fn every_route_is_described_and_every_description_has_a_route() {
        let (api, _) = described().split_for_parts();
        let router = api.merge(twilio::router());
        let printed = format!("{router:?}");
        let routed: BTreeSet<&str> = printed
            .split('"')
            .filter(|part| part.starts_with('/') && !FALLBACK.contains(part))
            .collect();
        assert!(
            routed.contains("/api/leads/{id}"),
            "the router prints its routes: {printed}"
        );
        let document = document();
        let described: BTreeSet<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(routed, described);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = to_text(&document());
        let components = document().components.expect("the document has components");
        let named: BTreeSet<&str> = text
            .split("\"#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(named.contains("ProblemDetails"));
        let missing: Vec<_> = named
            .into_iter()
            .filter(|name| !components.schemas.contains_key(*name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_operation_has_a_summary_an_id_of_its_own_and_a_known_tag() {
        let mut document = document();
        let tags: BTreeSet<String> = document
            .tags
            .clone()
            .unwrap_or_default()
            .into_iter()
            .map(|tag| tag.name)
            .collect();
        let mut ids = BTreeSet::new();
        for (path, item) in &mut document.paths.paths {
            for (_, operation) in operations(item) {
                assert!(operation.summary.is_some(), "{path}");
                let tag = operation
                    .tags
                    .as_ref()
                    .and_then(|tags| tags.first())
                    .expect("a tag");
                assert!(tags.contains(tag), "{path}: {tag}");
                let id = operation.operation_id.clone().expect("an id");
                assert!(ids.insert(id.clone()), "{id} twice");
            }
        }
    }
}
