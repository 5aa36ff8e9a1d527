//! The telephony provider's doors in the API description.
//!
//! They are not ours to shape: the provider's form posts and TwiML answers are told in words, not in schemas.

use utoipa::openapi::{
    Content, HttpMethod, Object, PathItem, Ref, RefOr, Required, ResponseBuilder, Type,
    path::{OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::SchemaType,
    security::SecurityRequirement,
};

use crate::http::error::PROBLEM_JSON;

/// Where the doors begin.
pub const PREFIX: &str = "/twilio/";

/// A webhook: address, operation id, summary.
const WEBHOOKS: [(&str, &str, &str); 12] = [
    ("/twilio/voice", "twilioVoice", "Say what to do with a call"),
    (
        "/twilio/placed",
        "twilioPlaced",
        "Say what happens in a call that we placed",
    ),
    (
        "/twilio/dial",
        "twilioDial",
        "Take in how the leg to the agent ended, and say what comes next",
    ),
    (
        "/twilio/room",
        "twilioRoom",
        "Take in who joins and leaves the room of a supervised call, and how they are heard",
    ),
    (
        "/twilio/leg",
        "twilioLeg",
        "Take in the progress of a leg that was dialled into a call's room",
    ),
    (
        "/twilio/missed",
        "twilioMissed",
        "Say what a caller hears whom an agent did not answer who was to come into the room",
    ),
    ("/twilio/status", "twilioStatus", "Take in the progress of a call"),
    ("/twilio/amd", "twilioAmd", "Take in who or what picked up"),
    (
        "/twilio/recording",
        "twilioRecording",
        "Take in that a recording is ready",
    ),
    (
        "/twilio/stream",
        "twilioStream",
        "Take in the progress of a media stream",
    ),
    ("/twilio/sms", "twilioSms", "Take in a text message"),
    (
        "/twilio/sms/status",
        "twilioSmsStatus",
        "Take in the progress of a text message",
    ),
];
const SIGNED: &str = "A form post by the provider, signed in `X-Twilio-Signature`; a missing or wrong signature is 403 \
                      and changes nothing. The account is found by `AccountSid`.";

/// The doors' paths.
pub fn paths() -> impl Iterator<Item = (String, PathItem)> {
    WEBHOOKS
        .into_iter()
        .map(|(path, id, summary)| (path.to_owned(), webhook(id, summary)))
        .chain([("/twilio/media/{token}".to_owned(), media())])
}

fn webhook(id: &str, summary: &str) -> PathItem {
    let form = Object::builder()
        .schema_type(SchemaType::Type(Type::Object))
        .build();
    let body = RequestBodyBuilder::new()
        .content("application/x-www-form-urlencoded", Content::new(Some(form)))
        .required(Some(Required::True))
        .build();
    let text = Object::builder()
        .schema_type(SchemaType::Type(Type::String))
        .build();
    let taken = ResponseBuilder::new()
        .description("Taken in; what to do, as TwiML.")
        .content("text/xml", Content::new(Some(text)))
        .build();
    let operation = OperationBuilder::new()
        .tag("twilio")
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(SIGNED))
        .request_body(Some(body))
        .security(SecurityRequirement::default())
        .response("200", taken)
        .response("403", refused("The signature is missing or wrong."))
        .build();
    PathItem::new(HttpMethod::Post, operation)
}

fn media() -> PathItem {
    let text = Object::builder()
        .schema_type(SchemaType::Type(Type::String))
        .build();
    let token = ParameterBuilder::new()
        .name("token")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(text))
        .description(Some("Short-lived and signed; names account and call."))
        .build();
    let operation = OperationBuilder::new()
        .tag("twilio")
        .operation_id(Some("twilioMedia"))
        .summary(Some("Hear a call"))
        .description(Some("A WebSocket that speaks the provider's Media Streams."))
        .parameter(token)
        .security(SecurityRequirement::default())
        .response(
            "101",
            ResponseBuilder::new().description("The stream is open.").build(),
        )
        .response("403", refused("The token is wrong, over or used."))
        .build();
    PathItem::new(HttpMethod::Get, operation)
}

fn refused(description: &str) -> utoipa::openapi::Response {
    let problem = RefOr::Ref(Ref::from_schema_name("ProblemDetails"));
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, Content::new(Some(problem)))
        .build()
}
