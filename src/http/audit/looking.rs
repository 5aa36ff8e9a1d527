//! Looks at what is about to change, as the caller sees it: through the API's own GET.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
};
use serde_json::Value;
use tower_service::Service;

use crate::http::auth::Caller;

/// Largest answer that is looked at.
const BYTES_MAX: usize = 8 << 20;
/// Largest JSON of one thing that is kept; of a larger one its size.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// Ids that are noted of one change.
const IDS_MAX: usize = 50;
/// Characters of an id after its prefix and the underscore.
const ID_CHARS: usize = 26;

/// What there is at `path`, as `caller` may see it. Things without an address of their own are looked for in their list.
pub(super) async fn at(reader: &Router, caller: &Caller, path: &str) -> Option<Value> {
    if let Some(thing) = get(reader, caller, path).await {
        return Some(thing);
    }
    let (list, id) = path.rsplit_once('/')?;
    let list = get(reader, caller, list).await?;
    let items = list.get("items")?.as_array()?;
    items
        .iter()
        .find(|item| item.get("id").and_then(Value::as_str) == Some(id))
        .cloned()
}

async fn get(reader: &Router, caller: &Caller, path: &str) -> Option<Value> {
    let mut request = Request::get(path).body(Body::empty()).ok()?;
    request.extensions_mut().insert(caller.clone());
    let response = reader.clone().call(request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let bytes = to_bytes(response.into_body(), BYTES_MAX).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What is kept of a thing.
pub(super) fn kept(mut thing: Value) -> Value {
    super::secrets::mask(&mut thing);
    let bytes = thing.to_string().len();
    if bytes > KEPT_BYTES_MAX {
        return serde_json::json!({ "left_out": format!("{bytes} bytes are more than the log keeps of one thing") });
    }
    thing
}

/// The ids that stand anywhere in `value`, as far as there is room.
pub(super) fn ids_in(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|field| ids_in(field, ids)),
        Value::Array(items) => items.iter().for_each(|item| ids_in(item, ids)),
        Value::String(text) if is_id(text) && ids.len() < IDS_MAX && !ids.contains(text) => {
            ids.push(text.clone());
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, rest)| {
        !prefix.is_empty()
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
            && rest.len() == ID_CHARS
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_found_wherever_they_stand() {
        let id = "lead_01h455vb4pex5vsknk084sn02q";
        let mut ids = Vec::new();
        ids_in(
            &json!({"id": id, "more": [{"lead_id": id}, "task_01h455vb4pex5vsknk084sn02q"], "name": "lead_me"}),
            &mut ids,
        );
        assert_eq!(ids, [id, "task_01h455vb4pex5vsknk084sn02q"]);
    }

    #[test]
    fn of_a_large_thing_its_size_is_kept() {
        assert_eq!(kept(json!({"name": "Ann"})), json!({"name": "Ann"}));
        let large = kept(json!({"name": "x".repeat(KEPT_BYTES_MAX)}));
        assert!(large.to_string().len() < 200, "{large}");
    }
}
