//! Reads bodies, paths and queries; whatever cannot be read is answered as a problem.
//!
//! axum's own extractors answer plain text. These parse the same way and name the field that is wrong.

use std::error::Error as StdError;

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        path::ErrorKind,
        rejection::{BytesRejection, FailedToBufferBody, JsonRejection, PathRejection},
    },
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{
    error::{ApiError, FieldError},
    plain_words::plain,
};

/// A JSON body, in or out.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// A JSON body that may be left out.
#[derive(Debug, Clone)]
pub struct JsonOrDefault<T>(pub T);

/// A body as it came.
#[derive(Debug, Clone)]
pub struct Raw(pub Bytes);

/// Path parameters. What does not parse is not found.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

/// Query parameters.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let Raw(body) = Raw::from_request(request, state).await?;
        from_body(&headers, &body).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state)
            .await
            .map(Self)
            .map_err(unreadable)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrDefault<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(ApiError::UnsupportedMedia);
        }
        refuse_list(&body)?;
        // `null` says the same as nothing.
        Ok(Self(parse::<Option<T>>(&body)?.unwrap_or_default()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|path| Self(path.0))
            .map_err(|rejection| ApiError::BadPath {
                detail: path_detail(&rejection),
            })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| ApiError::Invalid(vec![field_error(&innermost(&rejection))]))
    }
}

/// Reads a body that came with these headers.
///
/// # Errors
/// [`ApiError::UnsupportedMedia`] when it does not say that it is JSON; those of [`parse`].
pub fn from_body<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::UnsupportedMedia);
    }
    refuse_list(body)?;
    parse(body)
}

/// Reads `body` as JSON.
///
/// # Errors
/// [`ApiError::Malformed`] when it is not JSON, [`ApiError::Invalid`] with the field when it is not a `T`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    axum::Json::<T>::from_bytes(body)
        .map(|json| json.0)
        .map_err(|rejection| match rejection {
            JsonRejection::JsonDataError(error) => ApiError::Invalid(vec![field_error(&innermost(&error))]),
            other => ApiError::Malformed {
                detail: format!("the body is not JSON: {}", innermost(&other)),
            },
        })
}

/// Reads `value` as a `T`, as if it had been the body.
///
/// # Errors
/// [`ApiError::Invalid`] with the field when it is not a `T`.
pub fn parse_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T, ApiError> {
    parse(value.to_string().as_bytes())
}

/// For a field that holds an object: a list is refused, which serde would take for one by the order of its fields.
///
/// # Errors
/// The deserializer's own, for what is no object or not this one.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let fields: Option<serde_json::Map<String, serde_json::Value>> = Option::deserialize(deserializer)?;
    fields
        .map(|fields| serde_json::from_value(serde_json::Value::Object(fields)))
        .transpose()
        .map_err(serde::de::Error::custom)
}

/// The same for a field that may be left out but is never null.
///
/// # Errors
/// Those of [`object`].
pub fn object_if_given<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    let fields = serde_json::Map::deserialize(deserializer)?;
    serde_json::from_value(serde_json::Value::Object(fields)).map_err(serde::de::Error::custom)
}

/// No body of ours is a list. serde would take one for an object and go by the order of its fields.
fn refuse_list(body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::Malformed {
            detail: "the body is a list: send a JSON object".to_owned(),
        });
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => ApiError::TooLarge,
        other => ApiError::Malformed {
            detail: format!("the body broke off: {}", innermost(&other)),
        },
    }
}

/// The text of the error at the end of the chain: serde's own words with the field's path before them.
fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        // The path is printed by the wrapper around serde_json's error, not by that error itself.
        if source.source().is_none() && source.is::<serde_json::Error>() {
            break;
        }
        last = source;
    }
    last.to_string()
}

/// Splits serde's `path: message at line 1 column 2` into field and message.
fn field_error(text: &str) -> FieldError {
    let text = text.split(" at line ").next().unwrap_or(text);
    let (path, message) = match text.split_once(": ") {
        Some((path, message)) if is_path(path) => (path.trim_start_matches('.'), message),
        _ => ("", text),
    };
    let missing = message
        .strip_prefix("missing field `")
        .or_else(|| message.strip_prefix("unknown field `"))
        .and_then(|rest| rest.split('`').next());
    let is_parent = missing.is_some_and(|name| path != name && !path.ends_with(&format!(".{name}")));
    let field = match (path, missing) {
        ("", Some(name)) => name.to_owned(),
        (parent, Some(name)) if is_parent => format!("{parent}.{name}"),
        (path, _) => path.to_owned(),
    };
    FieldError::new(field, plain(message))
}

fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '-' | '?'))
}

fn path_detail(rejection: &PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return "the address holds no id".to_owned();
    };
    match failed.kind() {
        ErrorKind::Message(message) | ErrorKind::DeserializeError { message, .. } => message.clone(),
        _ => "the address cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::phone::PhoneNumber;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Person {
        #[expect(dead_code, reason = "only read by serde")]
        name: String,
        #[expect(dead_code, reason = "only read by serde")]
        phone: Option<PhoneNumber>,
    }

    fn problem_of(body: &str) -> crate::http::error::Problem {
        parse::<Person>(body.as_bytes()).expect_err("refused").problem()
    }

    #[test]
    fn names_the_field_that_is_wrong_missing_or_unknown() {
        for (body, field) in [
            (r#"{"name": 5}"#, "name"),
            (r#"{"name": "A", "phone": "12"}"#, "phone"),
            (r#"{"phone": null}"#, "name"),
            (r#"{"name": "A", "nmae": 1}"#, "nmae"),
        ] {
            let problem = problem_of(body);
            assert_eq!(problem.status, 422, "{body}");
            assert_eq!(problem.errors.len(), 1, "{body}");
            assert_eq!(problem.errors[0].field, field, "{body}: {:?}", problem.errors);
            assert!(
                !problem.errors[0].message.contains("line"),
                "{:?}",
                problem.errors
            );
        }
    }

    #[test]
    fn broken_json_is_malformed_not_invalid() {
        assert_eq!(problem_of("{").status, 400);
        assert_eq!(problem_of("").status, 400);
        let deep = "[".repeat(100_000);
        let bomb = parse::<serde_json::Value>(deep.as_bytes()).expect_err("refused");
        assert_eq!(bomb.problem().status, 400);
    }
}
