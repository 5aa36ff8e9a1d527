//! Phone numbers as params hold them: checked when they are written down, rendered when a run comes by.

use super::{
    kind::{NodeError, Scene},
    source::Template,
};
use crate::{domain::phone::PhoneNumber, workflows::problem::Problem};

/// What is wrong with the numbers that are written out: one problem for each field.
pub(super) fn check(params: &[(&str, &Option<Template>)]) -> Vec<Problem> {
    params
        .iter()
        .filter_map(|(field, template)| Some((field, template.as_ref()?.plain()?)))
        .filter(|(_, number)| number.parse::<PhoneNumber>().is_err())
        .map(|(field, number)| {
            Problem::new(
                *field,
                "bad_phone",
                format!("`{number}` is not a phone number"),
                "write it like +14155550100",
            )
        })
        .collect()
}

/// The number that a param gives; `None` when it was left out.
///
/// # Errors
/// What the expression lacks, or `bad_phone`.
pub(super) fn render(
    template: Option<&Template>,
    scene: &Scene<'_>,
) -> Result<Option<PhoneNumber>, NodeError> {
    let Some(template) = template else { return Ok(None) };
    let text = template.render(scene)?;
    text.parse()
        .map(Some)
        .map_err(|_| NodeError::new("bad_phone", format!("`{text}` is not a phone number")))
}

/// The number that `to` gives, or the lead's own.
///
/// # Errors
/// Those of [`render`], or `no_phone`.
pub(super) fn receiver(to: Option<&Template>, scene: &Scene<'_>) -> Result<PhoneNumber, NodeError> {
    match render(to, scene)? {
        Some(to) => Ok(to),
        None => scene
            .lead
            .and_then(|lead| lead.phone.clone())
            .ok_or_else(|| NodeError::new("no_phone", "the lead has no phone number")),
    }
}
