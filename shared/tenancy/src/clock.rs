//! The time, which only this module asks the system for.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use time::{
    Date, OffsetDateTime,
    format_description::{FormatItem, well_known::Rfc3339},
    macros::format_description,
};

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The operating system.
    #[default]
    System,
    /// A test's own time, in microseconds since 1970 UTC.
    Fixed(Arc<AtomicI64>),
}

/// A moment, in microseconds since 1970 UTC. The kernel's only form of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    micros: i64,
}

const DAY: &[FormatItem<'static>] = format_description!("[year]-[month]-[day]");
const MONTH: &[FormatItem<'static>] = format_description!("[year]-[month]");
const MINUTE: &[FormatItem<'static>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:00Z");
const MICROS: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

impl Clock {
    /// Now. A system clock before 1970 reads as 1970, which expires nothing early and admits nothing late.
    #[must_use]
    pub fn now(&self) -> Moment {
        let micros = match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| i64::try_from(since.as_micros()).ok())
                .unwrap_or(0),
            Self::Fixed(micros) => micros.load(Ordering::Relaxed),
        };
        Moment { micros }
    }

    /// A clock that stands at this many seconds since 1970 UTC.
    #[must_use]
    pub fn fixed_at_s(seconds: i64) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(seconds.saturating_mul(1_000_000))))
    }
}

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MomentError;

impl fmt::Display for MomentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-11-23T14:00:00Z, or a day such as 2026-11-23")
    }
}

impl std::error::Error for MomentError {}

/// RFC 3339, or a day for its first moment in UTC.
impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let parsed = match Date::parse(text, DAY) {
            Ok(day) => Ok(day.midnight().assume_utc()),
            Err(_) => OffsetDateTime::parse(text, &Rfc3339),
        };
        let nanos = parsed.map_err(|_err| MomentError)?.unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000)).map(|micros| Self { micros }).map_err(|_err| MomentError)
    }
}

impl Moment {
    /// The moment of this many microseconds since 1970 UTC.
    pub(crate) const fn at_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since 1970 UTC.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// Seconds since 1970 UTC.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.micros.div_euclid(1_000_000)
    }

    /// The minute, in minutes since 1970 UTC.
    #[must_use]
    pub const fn minute(self) -> i64 {
        self.seconds().div_euclid(60)
    }

    /// This moment and so many seconds more.
    #[must_use]
    pub const fn plus_s(self, seconds: i64) -> Self {
        Self { micros: self.micros.saturating_add(seconds.saturating_mul(1_000_000)) }
    }

    /// `2026-11-23`, UTC.
    #[must_use]
    pub fn day(self) -> String {
        self.format(DAY)
    }

    /// `23`, UTC.
    #[must_use]
    pub fn day_of_month(self) -> String {
        format!("{:02}", self.utc().day())
    }

    /// `2026-11`, UTC.
    #[must_use]
    pub fn month(self) -> String {
        self.format(MONTH)
    }

    /// RFC 3339 in UTC with six digits of the second: sorts as text as it does as time.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.format(MICROS)
    }

    /// RFC 3339 in UTC, to the minute: of this many minutes since 1970.
    #[must_use]
    pub fn rfc3339_of_minute(minute: i64) -> String {
        Self { micros: minute.saturating_mul(60_000_000) }.format(MINUTE)
    }

    /// The first second of the next calendar month in UTC, in seconds since 1970.
    #[must_use]
    pub fn next_month_s(self) -> i64 {
        let today = self.utc().date();
        let first = today.replace_day(1).unwrap_or(today);
        first
            .checked_add(time::Duration::days(31))
            .and_then(|later| later.replace_day(1).ok())
            .map_or(i64::MAX, |next| next.midnight().assume_utc().unix_timestamp())
    }

    fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.micros).saturating_mul(1_000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn format(self, form: &[FormatItem<'_>]) -> String {
        self.utc().format(form).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_at_the_first_second_of_the_next() {
        for (now, next) in [
            (1_795_500_000, 1_796_083_200), // 2026-11-24 → 2026-12-01
            (1_798_761_599, 1_798_761_600), // the last second of 2026
            (1_709_164_800, 1_709_251_200), // 2024-02-29 → 2024-03-01
        ] {
            assert_eq!(Clock::fixed_at_s(now).now().next_month_s(), next);
        }
    }

    #[test]
    fn a_moment_is_read_in_every_offset_and_nothing_else_is() {
        let noon = Clock::fixed_at_s(1_795_521_600).now();
        for text in ["2026-11-24T12:00:00Z", "2026-11-24T14:00:00.000+02:00", &noon.rfc3339()] {
            assert_eq!(text.parse(), Ok(noon), "{text}");
        }
        assert_eq!("2026-11-24".parse(), Ok(noon.plus_s(-12 * 3600)));
        for wrong in ["", "now", "2026-11-31", "2026-11-24 12:00", "2026-11-24T12:00:00", "1795521600"] {
            assert_eq!(wrong.parse::<Moment>(), Err(MomentError), "{wrong}");
        }
    }

    #[test]
    fn texts_of_a_moment_sort_as_time_does() {
        let early = Clock::fixed_at_s(1_795_500_000).now();
        assert_eq!(early.rfc3339(), "2026-11-24T06:00:00.000000Z");
        assert_eq!((early.day().as_str(), early.month().as_str()), ("2026-11-24", "2026-11"));
        assert!(early.rfc3339() < early.plus_s(1).rfc3339());
    }
}
