//! Where a person is, as far as quiet hours go: one zone, or all the zones it may be.
//!
//! The lead's own zone goes first, then the region of the number, then the workflow's zone, then the operator's. A number
//! whose country or code spans several zones gives them all: it is quiet for the person while it is quiet in any of them.

use super::{
    calendar::{Zone, zone},
    effect::SendWindow,
    regions::zone_name,
};
use crate::domain::{lead::Lead, phone::PhoneNumber};

/// Countries whose numbers do not say which of their zones they lie in, with zones that span the country. A North American
/// number without a region of its own (toll-free, a code that crosses a border between zones) may be anywhere in the plan.
const COUNTRIES: &[(&str, &[&str])] = &[
    (
        "+1",
        &[
            "America/St_Johns",
            "America/New_York",
            "America/Chicago",
            "America/Denver",
            "America/Phoenix",
            "America/Los_Angeles",
            "America/Anchorage",
            "Pacific/Honolulu",
        ],
    ),
    (
        "+7",
        &[
            "Europe/Kaliningrad",
            "Europe/Moscow",
            "Asia/Yekaterinburg",
            "Asia/Almaty",
            "Asia/Novosibirsk",
            "Asia/Vladivostok",
            "Asia/Kamchatka",
        ],
    ),
    (
        "+52",
        &[
            "America/Cancun",
            "America/Mexico_City",
            "America/Hermosillo",
            "America/Tijuana",
        ],
    ),
    (
        "+55",
        &[
            "America/Noronha",
            "America/Sao_Paulo",
            "America/Manaus",
            "America/Rio_Branco",
        ],
    ),
    (
        "+61",
        &[
            "Australia/Sydney",
            "Australia/Brisbane",
            "Australia/Adelaide",
            "Australia/Darwin",
            "Australia/Perth",
        ],
    ),
    ("+62", &["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"]),
    ("+34", &["Europe/Madrid", "Atlantic/Canary"]),
    ("+351", &["Europe/Lisbon", "Atlantic/Azores"]),
    (
        "+56",
        &["America/Santiago", "America/Punta_Arenas", "Pacific/Easter"],
    ),
    ("+64", &["Pacific/Auckland", "Pacific/Chatham"]),
    ("+243", &["Africa/Kinshasa", "Africa/Lubumbashi"]),
    ("+593", &["America/Guayaquil", "Pacific/Galapagos"]),
    ("+976", &["Asia/Ulaanbaatar", "Asia/Hovd"]),
];

/// Where a person is.
#[derive(Debug, Clone, PartialEq)]
pub struct Whereabouts {
    /// At least one.
    pub zones: Vec<Zone>,
    pub source: PlaceSource,
}

/// How it is known where a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceSource {
    /// The lead's own `timezone`.
    Lead,
    /// The region of the number.
    Number,
    /// The number's country, which has several zones.
    Country,
    /// The workflow's `settings.timezone`.
    Workflow,
    /// `gate.timezone` of the configuration.
    Settings,
}

impl PlaceSource {
    /// The word used in the history.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Number => "number",
            Self::Country => "country",
            Self::Workflow => "workflow",
            Self::Settings => "settings",
        }
    }
}

impl Whereabouts {
    /// `in America/New_York (the region of the number)`.
    #[must_use]
    pub fn words(&self) -> String {
        let zones: Vec<_> = self.zones.iter().map(Zone::name).collect();
        let source = match self.source {
            PlaceSource::Lead => "the person's own zone",
            PlaceSource::Number => "the region of the number",
            PlaceSource::Country => "all that the number may lie in",
            PlaceSource::Workflow => "the workflow's zone",
            PlaceSource::Settings => "the zone in the settings",
        };
        format!("in {} ({source})", zones.join(", "))
    }
}

/// Returns where the person is. `to` is the number that would be reached; the lead's own number stands in for it.
#[must_use]
pub fn whereabouts(
    lead: Option<&Lead>,
    to: Option<&PhoneNumber>,
    window: Option<&SendWindow>,
    otherwise: &Zone,
) -> Whereabouts {
    let one = |name: &str, source| {
        zone(name).map(|zone| Whereabouts {
            zones: vec![zone],
            source,
        })
    };
    let number = to.or_else(|| lead.and_then(|lead| lead.phone.as_ref()));
    lead.and_then(|lead| lead.timezone.as_deref())
        .and_then(|name| one(name, PlaceSource::Lead))
        .or_else(|| number.and_then(|number| one(zone_name(number)?, PlaceSource::Number)))
        .or_else(|| number.and_then(country))
        .or_else(|| {
            let name = window.and_then(|window| window.timezone.as_deref())?;
            one(name, PlaceSource::Workflow)
        })
        .unwrap_or_else(|| Whereabouts {
            zones: vec![otherwise.clone()],
            source: PlaceSource::Settings,
        })
}

/// The zones of a number's country, by the longest code that fits.
fn country(number: &PhoneNumber) -> Option<Whereabouts> {
    let (_, names) = COUNTRIES
        .iter()
        .filter(|(code, _)| number.as_str().starts_with(code))
        .max_by_key(|(code, _)| code.len())?;
    let zones: Vec<Zone> = names.iter().copied().filter_map(zone).collect();
    (!zones.is_empty()).then_some(Whereabouts {
        zones,
        source: PlaceSource::Country,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::{AccountId, LeadId},
        time::Timestamp,
    };

    fn place(phone: &str, own: Option<&str>, workflow: Option<&str>) -> Whereabouts {
        let lead = Lead {
            phone: phone.parse().ok(),
            timezone: own.map(str::to_owned),
            ..Lead::nameless(LeadId::fresh(), AccountId::fresh(), Timestamp::default())
        };
        let window = SendWindow {
            timezone: workflow.map(str::to_owned),
            quiet_hours: None,
        };
        whereabouts(
            Some(&lead),
            None,
            Some(&window),
            &zone("Europe/Berlin").expect("known"),
        )
    }

    #[test]
    fn the_best_known_place_counts() {
        let own = place("+12125550100", Some("Asia/Tokyo"), Some("Europe/Paris"));
        assert_eq!(
            (own.source, own.zones[0].name()),
            (PlaceSource::Lead, "Asia/Tokyo")
        );
        let number = place("+12125550100", None, Some("Europe/Paris"));
        assert_eq!(
            (number.source, number.zones[0].name()),
            (PlaceSource::Number, "America/New_York")
        );
        let workflow = place("", None, Some("Europe/Paris"));
        assert_eq!(
            (workflow.source, workflow.zones[0].name()),
            (PlaceSource::Workflow, "Europe/Paris")
        );
        let settings = place("", Some("Mars/Olympus"), None);
        assert_eq!(
            (settings.source, settings.zones[0].name()),
            (PlaceSource::Settings, "Europe/Berlin")
        );
    }

    #[test]
    fn a_number_that_may_lie_in_several_zones_gives_them_all() {
        for toll_free in ["+18005550100", "+12085550100"] {
            let place = place(toll_free, None, Some("Europe/Paris"));
            assert_eq!(place.source, PlaceSource::Country, "{toll_free}");
            assert!(place.zones.iter().any(|zone| zone.name() == "Pacific/Honolulu"));
        }
    }

    #[test]
    fn every_zone_of_the_table_exists() {
        for (code, names) in COUNTRIES {
            for name in *names {
                assert!(zone(name).is_some(), "{code} {name}");
            }
        }
    }
}
