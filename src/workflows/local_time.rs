//! The filter `local`: a moment as the lead's clock shows it, `{{ trigger.data.starts_at | local }}`.

use jiff::{civil, fmt::strtime};
use minijinja::{Error, ErrorKind, State};

use super::calendar::{Zone, ZoneSource, moment_of, zone_among};
use crate::domain::{phone::PhoneNumber, time::Timestamp};

/// `Tue, Nov 24, 3:00 PM`.
const FORMAT: &str = "%a, %b %-d, %-I:%M %p";
const FORMAT_BYTES_MAX: usize = 100;
/// Where a scope keeps the workflow's zone. No expression can name it, as it is no name.
pub(super) const WORKFLOW_ZONE: &str = "workflow's zone";

/// Shows `moment` by a `format` of strftime's. Without a format the zone is added when nobody knows the lead's: the time is UTC's then.
pub(super) fn local(state: &State<'_, '_>, moment: &str, format: Option<&str>) -> Result<String, Error> {
    let (zone, source) = zone_in(state);
    let shown = match (moment.parse::<Timestamp>(), moment.parse::<civil::DateTime>()) {
        (Ok(at), _) => zone.show(at),
        // Without an offset it is the lead's own time already.
        (Err(_), Ok(wall)) => zone.show(moment_of(wall, &zone)),
        (Err(_), Err(_)) => {
            let message = format!("`{moment}` is not a time like `2026-11-24T15:00:00Z`");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
    };
    let format = match (format, source) {
        (Some(own), _) if own.len() > FORMAT_BYTES_MAX => {
            let message = format!("the format has more than {FORMAT_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        (Some(own), _) => own.to_owned(),
        (None, ZoneSource::Nothing) => format!("{FORMAT} %Z"),
        (None, ZoneSource::Lead | ZoneSource::Phone | ZoneSource::Workflow) => FORMAT.to_owned(),
    };
    strtime::format(&format, &shown).map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("the format `{format}`: {error}"),
        )
    })
}

/// The zone of the lead that the expression sees: in a loop over leads, the item's.
fn zone_in(state: &State<'_, '_>) -> (Zone, ZoneSource) {
    let lead = state.lookup("lead");
    let text = |field: &str| {
        let value = lead.as_ref()?.get_attr(field).ok()?;
        value.as_str().map(str::to_owned)
    };
    let phone: Option<PhoneNumber> = text("phone").and_then(|phone| phone.parse().ok());
    let workflow = state.lookup(WORKFLOW_ZONE);
    let workflow = workflow.as_ref().and_then(|zone| zone.as_str());
    zone_among(text("timezone").as_deref(), phone.as_ref(), workflow)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(template: &str, scope: &Value) -> Result<String, Error> {
        let mut environment = minijinja::Environment::new();
        environment.add_filter("local", local);
        environment.render_str(template, minijinja::Value::from(minijinja::value::Serde(scope)))
    }

    #[test]
    fn a_moment_is_shown_by_the_clock_of_the_lead_else_of_the_workflow() {
        let plain = "{{ '2026-11-24T20:05:00Z' | local }}";
        let berlin = json!({"timezone": "Europe/Berlin", "phone": "+14155550100"});
        for (scope, text) in [
            (json!({ "lead": berlin }), "Tue, Nov 24, 9:05 PM"),
            (
                json!({"lead": {"phone": "+14155550100"}}),
                "Tue, Nov 24, 12:05 PM",
            ),
            (
                json!({"lead": {}, WORKFLOW_ZONE: "Asia/Tokyo"}),
                "Wed, Nov 25, 5:05 AM",
            ),
            (json!({}), "Tue, Nov 24, 8:05 PM UTC"),
        ] {
            assert_eq!(shown(plain, &scope).expect("a time"), text, "{scope}");
        }
        let scope = json!({ "lead": berlin });
        for (template, text) in [
            ("{{ '2026-11-24T15:00' | local }}", "Tue, Nov 24, 3:00 PM"),
            ("{{ '2026-11-24' | local('%d.%m.%Y') }}", "24.11.2026"),
            (
                "{{ '2026-11-24T23:30:00+00:00' | local('%A %H:%M %Z') }}",
                "Wednesday 00:30 CET",
            ),
        ] {
            assert_eq!(shown(template, &scope).expect("a time"), text, "{template}");
        }
    }

    #[test]
    fn what_is_no_time_or_no_format_is_refused_with_a_reason() {
        for (template, reason) in [
            ("{{ 'tomorrow' | local }}", "`tomorrow` is not a time"),
            ("{{ '2026-11-24T15:00:00Z' | local('%!') }}", "the format `%!`"),
        ] {
            let error = shown(template, &json!({})).expect_err("refused");
            assert!(error.to_string().contains(reason), "{error}");
        }
        let long = format!("{{{{ '2026-11-24T15:00:00Z' | local('{}') }}}}", "%A".repeat(51));
        assert!(shown(&long, &json!({})).is_err());
    }
}
