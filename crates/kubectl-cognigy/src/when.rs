//! Points in time as people read them: how far they are from now.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `in 12s`, `3m ago`; `now` where it is less than a second.
pub fn relative(time: &Time, now: Timestamp) -> String {
    let seconds = time.0.as_second() - now.as_second();
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", span(seconds)),
        _ => format!("{} ago", span(-seconds)),
    }
}

/// The same with the time itself in front: `2026-11-23T06:48:10Z (3m ago)`.
pub fn both(time: &Time, now: Timestamp) -> String {
    format!("{} ({})", time.0.strftime("%FT%TZ"), relative(time, now))
}

/// The time of day, UTC.
pub fn clock(now: Timestamp) -> String {
    now.strftime("%TZ").to_string()
}

/// A span as kubectl's column AGE has it: two units where the first alone says little.
fn span(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let (large, unit, rest, small) = match seconds {
        ..MINUTE => (seconds, "s", 0, ""),
        MINUTE..HOUR => (seconds / MINUTE, "m", seconds % MINUTE, "s"),
        HOUR..DAY => (seconds / HOUR, "h", seconds % HOUR / MINUTE, "m"),
        _ => (seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    };
    if rest == 0 || large >= 10 { format!("{large}{unit}") } else { format!("{large}{unit}{rest}{small}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_distance_in_as_few_units_as_say_enough() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| relative(&Time(Timestamp::from_second(1_000_000 + seconds).unwrap()), now);
        assert_eq!(at(0), "now");
        assert_eq!(at(12), "in 12s");
        assert_eq!(at(-59), "59s ago");
        assert_eq!(at(-200), "3m20s ago");
        assert_eq!(at(-660), "11m ago");
        assert_eq!(at(7200), "in 2h");
        assert_eq!(at(-93_600), "1d2h ago");
    }
}
