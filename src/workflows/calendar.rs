//! Calendar arithmetic: zones, times of day, quiet hours, business hours.
//!
//! In: moments and a zone. Out: moments. Pure: the zones are compiled in, no file is read, so every machine computes alike.
//!
//! One rule for the days on which clocks are changed, everywhere: **what counts is what a clock on the wall shows.**
//! - A time of day that is skipped is reached the moment the clock jumps over it.
//! - A time of day that comes twice counts the first time; for "the next 01:30" the second does not count again.
//! - Quiet and business hours hold whenever the clock shows a time within them, both times when it comes twice.

use jiff::{ToSpan as _, civil, tz};

use super::{
    definition::{QuietHours, TimeOfDay},
    regions,
};
use crate::domain::{lead::Lead, phone::PhoneNumber, time::Timestamp};

/// Days that are looked at for a time that fits. The longest gap between two fitting days is a week; zones have skipped a day.
const DAYS_MAX: i32 = 16;
/// Changes of the clock that are looked at within one stretch of quiet or business hours.
const CHANGES_MAX: usize = 64;

/// A time zone that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(tz::TimeZone);

/// A day of the week; reads and prints `mon`.
pub type Weekday = civil::Weekday;

/// What a clock and a calendar on the wall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    pub date: civil::Date,
    pub weekday: Weekday,
    pub time: TimeOfDay,
}

/// Where a lead's zone comes from, for the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneSource {
    /// The lead's own `timezone`.
    Lead,
    /// The region of the lead's number.
    Phone,
    /// The workflow's `settings.timezone`.
    Workflow,
    /// Nothing is known: UTC.
    Nothing,
}

/// Hours in which people work, the same on each of `days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusinessHours {
    pub days: Days,
    pub from: TimeOfDay,
    /// Later than `from`.
    pub to: TimeOfDay,
}

/// Days of the week, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

/// Returns the zone of that IANA name; `None` when there is none.
#[must_use]
pub fn zone(name: &str) -> Option<Zone> {
    // POSIX strings and other inventions are no IANA names; the database would not know them anyway.
    tz::TimeZoneDatabase::bundled().get(name).ok().map(Zone)
}

/// Returns the zone to use for a lead and where it comes from: the lead's own, else the number's, else the workflow's, else UTC.
#[must_use]
pub fn zone_of(lead: Option<&Lead>, settings_zone: Option<&str>) -> (Zone, ZoneSource) {
    let own = lead.and_then(|lead| lead.timezone.as_deref());
    let phone = lead.and_then(|lead| lead.phone.as_ref());
    zone_among(own, phone, settings_zone)
}

/// Like [`zone_of`], of what is known of a lead.
pub(super) fn zone_among(
    own: Option<&str>,
    phone: Option<&PhoneNumber>,
    settings_zone: Option<&str>,
) -> (Zone, ZoneSource) {
    let phone = phone.and_then(regions::zone_name);
    [
        (own, ZoneSource::Lead),
        (phone, ZoneSource::Phone),
        (settings_zone, ZoneSource::Workflow),
    ]
    .into_iter()
    .find_map(|(name, source)| Some((zone(name?)?, source)))
    .unwrap_or((Zone::utc(), ZoneSource::Nothing))
}

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(tz::TimeZone::UTC)
    }

    /// What the wall shows at `at`, as the calendar library has it.
    pub(super) fn show(&self, at: Timestamp) -> jiff::Zoned {
        moment(at).to_zoned(self.0.clone())
    }

    /// The IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl Days {
    /// Monday to Friday.
    pub const WORKDAYS: Self = Self(0b001_1111);
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// Returns the set of `days`; `None` when it is empty.
    #[must_use]
    pub fn of(days: &[Weekday]) -> Option<Self> {
        let set = days.iter().fold(0, |set, day| set | bit(*day));
        (set != 0).then_some(Self(set))
    }

    /// Whether `day` is one of them.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

/// Returns the weekday of a name like `Mon` or `monday`, in any case.
#[must_use]
pub fn weekday(name: &str) -> Option<Weekday> {
    const NAMES: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let name = name.trim().to_ascii_lowercase();
    NAMES
        .into_iter()
        .find(|(whole, _)| *whole == name || (name.len() == 3 && whole.starts_with(&name)))
        .map(|(_, day)| day)
}

/// Returns what the wall shows at `at`.
#[must_use]
pub fn local(at: Timestamp, zone: &Zone) -> Local {
    let shown = zone.0.to_datetime(moment(at));
    Local {
        date: shown.date(),
        weekday: shown.weekday(),
        time: time_of(shown.time()),
    }
}

/// Returns the first moment after `after` that is the beginning of `time` on its day, on a day of `days`.
///
/// "The beginning" is the first moment of the day at which the wall shows `time` or, when that is skipped, later.
#[must_use]
pub fn next_local(after: Timestamp, zone: &Zone, time: TimeOfDay, days: Days) -> Timestamp {
    let today = local(after, zone).date;
    // The day before counts as well: a zone that jumps over midnight may end it today.
    (-1..DAYS_MAX)
        .filter_map(|offset| today.checked_add(offset.days()).ok())
        .filter(|date| days.contains(date.weekday()))
        .map(|date| start_of(date, time, zone))
        .find(|found| *found > after)
        // Beyond the year 9999.
        .unwrap_or(after)
}

/// Returns the first moment at which the wall shows `date` and `time`, or later when that is skipped.
#[must_use]
pub fn start_of(date: civil::Date, time: TimeOfDay, zone: &Zone) -> Timestamp {
    moment_of(date.to_datetime(civil_time(time)), zone)
}

/// Returns the first moment at which the wall shows `shown`, or later when that is skipped.
#[must_use]
pub fn moment_of(shown: civil::DateTime, zone: &Zone) -> Timestamp {
    let found = match zone.0.to_ambiguous_timestamp(shown).offset() {
        tz::AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown),
        tz::AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown),
        // Read with the offset after the jump, a skipped time lies before it: the jump is the next change.
        tz::AmbiguousOffset::Gap { after, .. } => after.to_timestamp(shown).map(|earlier| {
            zone.0
                .following(earlier)
                .next()
                .map_or(earlier, |change| change.timestamp())
        }),
    };
    // Out of the calendar's range: the end of time.
    found.map_or(timestamp(jiff::Timestamp::MAX), timestamp)
}

/// Whether the wall shows a time within the quiet hours.
#[must_use]
pub fn is_within(hours: QuietHours, at: Timestamp, zone: &Zone) -> bool {
    covers(hours, local(at, zone).time)
}

/// Returns the first moment from `at` on at which it is not quiet; `at` itself when it is not quiet then.
#[must_use]
pub fn next_end_of(hours: QuietHours, at: Timestamp, zone: &Zone) -> Timestamp {
    first_from(at, zone, hours.until, |shown| !covers(hours, shown.time))
}

/// Returns when the zone's clock is changed next after `at`; `None` when it never is again.
#[must_use]
pub fn next_change(at: Timestamp, zone: &Zone) -> Option<Timestamp> {
    zone.0
        .following(moment(at))
        .next()
        .map(|change| timestamp(change.timestamp()))
}

/// Whether the wall shows a time within the business hours.
#[must_use]
pub fn is_open(hours: &BusinessHours, at: Timestamp, zone: &Zone) -> bool {
    hours.covers(local(at, zone))
}

/// Returns the first moment from `at` on that is within the business hours.
#[must_use]
pub fn next_open(hours: &BusinessHours, at: Timestamp, zone: &Zone) -> Timestamp {
    first_from(at, zone, hours.from, |shown| hours.covers(shown))
}

impl BusinessHours {
    fn covers(self, shown: Local) -> bool {
        self.days.contains(shown.weekday) && (self.from..self.to).contains(&shown.time)
    }
}

fn covers(hours: QuietHours, time: TimeOfDay) -> bool {
    if hours.from <= hours.until {
        (hours.from..hours.until).contains(&time)
    } else {
        time >= hours.from || time < hours.until
    }
}

/// Returns the first moment from `at` on that `fits`, given that fitting begins only at `boundary` or when the clock is changed.
fn first_from(at: Timestamp, zone: &Zone, boundary: TimeOfDay, fits: impl Fn(Local) -> bool) -> Timestamp {
    if fits(local(at, zone)) {
        return at;
    }
    let mut from = at;
    let changes = zone.0.following(moment(at)).take(CHANGES_MAX);
    let changes = changes.map(|change| timestamp(change.timestamp()));
    for change in changes.map(Some).chain([None]) {
        // Up to the change the clock runs evenly, so each day shows the boundary once.
        let found = boundaries(from, change, zone, boundary).find(|found| fits(local(*found, zone)));
        match (found, change) {
            (Some(found), _) => return found,
            (None, Some(change)) if fits(local(change, zone)) => return change,
            (None, Some(change)) => from = change,
            (None, None) => {}
        }
    }
    at
}

/// The moments after `from` and before `end` at which the wall shows `time`, while the clock is not changed; two weeks at most.
fn boundaries(
    from: Timestamp,
    end: Option<Timestamp>,
    zone: &Zone,
    time: TimeOfDay,
) -> impl Iterator<Item = Timestamp> {
    let offset = zone.0.to_offset(moment(from));
    let today = offset.to_datetime(moment(from)).date();
    (0..DAYS_MAX)
        .filter_map(move |ahead| today.checked_add(ahead.days()).ok())
        .filter_map(move |date| offset.to_timestamp(date.to_datetime(civil_time(time))).ok())
        .map(timestamp)
        .filter(move |found| *found > from && end.is_none_or(|end| *found < end))
}

fn time_of(time: civil::Time) -> TimeOfDay {
    let minutes = i32::from(time.hour()) * 60 + i32::from(time.minute());
    u16::try_from(minutes)
        .ok()
        .and_then(TimeOfDay::from_minutes)
        .expect("a clock shows at most 23:59")
}

fn civil_time(time: TimeOfDay) -> civil::Time {
    let part = |number: u16| i8::try_from(number).expect("hours and minutes are below 60");
    civil::time(part(time.minutes() / 60), part(time.minutes() % 60), 0, 0)
}

fn moment(at: Timestamp) -> jiff::Timestamp {
    i64::try_from(at.as_unix_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

fn timestamp(moment: jiff::Timestamp) -> Timestamp {
    // Before 1970 there is nothing to wait for.
    Timestamp::from_unix_millis(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}
