//! Times, shares and counts in the fewest letters that say them.

use std::time::Duration;

/// Units of time, longest first, in milliseconds.
const UNITS: [(u128, &str); 3] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m")];
/// A share below this, in percent, is not told by its digits any more.
const LEAST_PERCENT: f64 = 1e-6;
/// Odds over this are not told by their digits any more.
const LONGEST_ODDS: f64 = 1e9;

/// `500ms`, `2.5s`, `1m30s`, `1h0.5s`, `1d2h`: as Kubernetes writes times, to the millisecond below a minute and to the second above.
pub fn time(time: Duration) -> String {
    let milliseconds = (time.as_nanos() + 500_000) / 1_000_000;
    match milliseconds {
        0 => "0s".into(),
        1..1_000 => format!("{milliseconds}ms"),
        1_000..60_000 => format!("{}s", decimal(milliseconds)),
        _ => {
            let mut rest = (milliseconds + 500) / 1_000 * 1_000;
            let mut text = String::new();
            for (unit, letter) in UNITS {
                if rest >= unit {
                    text += &(rest / unit).to_string();
                    text += letter;
                    rest %= unit;
                }
            }
            if rest > 0 { text + &decimal(rest) + "s" } else { text }
        }
    }
}

fn decimal(milliseconds: u128) -> String {
    let text = format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1s to 1.1s`, or one time where both are the same.
pub fn between(least: Duration, most: Duration) -> String {
    let (least, most) = (time(least), time(most));
    if least == most { least } else { format!("{least} to {most}") }
}

/// What is left of a whole when this share (0 to 1) is missing: `97.75 %`. It never says all where something is missing.
pub fn all_but(missing: f64) -> String {
    let percent = missing * 100.0;
    if percent <= 0.0 {
        return "100 %".into();
    }
    if percent < LEAST_PERCENT {
        return "over 99.999999 %".into();
    }
    let decimals = (0..=7).find(|decimals| percent * 10_f64.powi(*decimals) >= 1.0).unwrap_or(7) + 1;
    let text = format!("{:.*}", usize::try_from(decimals).unwrap_or(2).max(2), 100.0 - percent);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `15 %`, `0.5 %`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A share (0 to 1) as odds: `1 in 13,169`; `none` and `all` at the ends.
pub fn odds(share: f64) -> String {
    let in_all = 1.0 / share;
    match share {
        _ if share <= 0.0 => "none".into(),
        _ if share >= 1.0 => "all".into(),
        _ if in_all > LONGEST_ODDS => "less than 1 in 1,000,000,000".into(),
        _ if in_all < 10.0 => format!("1 in {}", decimals(in_all, 1)),
        _ => format!("1 in {}", grouped(&format!("{in_all:.0}"))),
    }
}

/// A number with at most so many decimals.
pub fn decimals(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `13,169`.
pub fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 retry`, `4 retries`.
pub fn retries(count: u32) -> String {
    if count == 1 { "1 retry".into() } else { format!("{count} retries") }
}

/// Lines of at most so many letters, broken between words.
pub fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_kubernetes_does() {
        let told = [0, 500, 1_000, 6_250, 15_625, 59_999, 60_000, 90_000, 90_400, 3_600_000, 3_600_500, 93_600_000]
            .map(|milliseconds| time(Duration::from_millis(milliseconds)));
        let expected =
            ["0s", "500ms", "1s", "6.25s", "15.625s", "59.999s", "1m", "1m30s", "1m30s", "1h", "1h1s", "1d2h"];
        assert_eq!(told, expected);
        assert_eq!(time(Duration::from_micros(17_187_500)), "17.188s");
    }

    #[test]
    fn a_share_is_never_told_as_all_where_something_is_missing() {
        let told = [0.0, 0.15, 0.0225, 0.003_375, 0.000_075_937_5, 1e-8, 1e-9, 1.0].map(all_but);
        let expected = ["100 %", "85 %", "97.75 %", "99.66 %", "99.9924 %", "99.999999 %", "over 99.999999 %", "0 %"];
        assert_eq!(told, expected);
    }

    #[test]
    fn odds_are_told_with_as_many_digits_as_help() {
        let told = [0.0, 1.0, 0.4, 0.15_f64.powi(5), 1e-12].map(odds);
        assert_eq!(told, ["none", "all", "1 in 2.5", "1 in 13,169", "less than 1 in 1,000,000,000"]);
        assert_eq!([percent(0.15), percent(0.005)], ["15 %", "0.5 %"]);
    }

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("unbreakable a", 4), ["unbreakable", "a"]);
    }
}
