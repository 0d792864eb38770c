//! Time formats of the service.
//!
//! Written without a date library, for speed (two times per row) and because a
//! client's parser is better tested by a formatter that shares no code with it.

use std::time::SystemTime;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Prints nanoseconds since the Unix epoch as RFC 3339 in UTC, trailing zeros of the fraction cut.
///
/// `0` gives `1970-01-01T00:00:00Z`, `542841140` gives `1970-01-01T00:00:00.54284114Z`.
#[must_use]
pub fn rfc3339(nanos: i64) -> String {
    let mut out = Vec::with_capacity(30);
    write_rfc3339(&mut out, nanos);
    String::from_utf8(out).expect("only ASCII was written")
}

pub(super) fn write_rfc3339(out: &mut Vec<u8>, nanos: i64) {
    write_seconds(out, nanos.div_euclid(NANOS_PER_SECOND));
    let fraction = nanos.rem_euclid(NANOS_PER_SECOND);
    if fraction != 0 {
        let mut digits = [b'0'; 9];
        let mut rest = fraction;
        for digit in digits.iter_mut().rev() {
            *digit = ascii_digit(rest % 10);
            rest /= 10;
        }
        let kept = 9 - digits.iter().rev().take_while(|&&digit| digit == b'0').count();
        out.push(b'.');
        out.extend_from_slice(&digits[..kept]);
    }
    out.push(b'Z');
}

/// Prints a time with six decimals, as the credential services do.
pub(super) fn token_time(moment: SystemTime) -> String {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut out = Vec::with_capacity(30);
    write_seconds(&mut out, i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    out.extend_from_slice(format!(".{:06}Z", since.subsec_micros()).as_bytes());
    String::from_utf8(out).expect("only ASCII was written")
}

/// Reads `20250102T030405Z`, the form of `X-Sdk-Date`, into seconds since the Unix epoch.
pub(super) fn parse_basic(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        bytes[from..to].iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let legal = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    legal.then(|| days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second)
}

/// Prints seconds since the Unix epoch in the form of `X-Sdk-Date`.
pub(super) fn basic(seconds: i64) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let clock = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn write_seconds(out: &mut Vec<u8>, seconds: i64) {
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    let clock = seconds.rem_euclid(SECONDS_PER_DAY);
    two_digits(out, year / 100);
    two_digits(out, year % 100);
    for (separator, value) in
        [(b'-', month), (b'-', day), (b'T', clock / 3_600), (b':', clock / 60 % 60), (b':', clock % 60)]
    {
        out.push(separator);
        two_digits(out, value);
    }
}

fn two_digits(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&[ascii_digit(value / 10), ascii_digit(value % 10)]);
}

fn ascii_digit(value: i64) -> u8 {
    b'0' + u8::try_from(value % 10).expect("a digit of a number that is not negative")
}

/// Days since 1970-01-01 to year, month, day. Years start in March, so that the leap
/// day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_zeros_of_the_fraction_are_cut() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_505_098_802_542_841_141, "2017-09-11T03:00:02.542841141Z"),
            (1_622_627_965_513_070_000, "2021-06-02T09:59:25.51307Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (-1_000_000, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(nanos), text);
        }
        let moment = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_578_128_722_701_000);
        assert_eq!(token_time(moment), "2020-01-04T09:05:22.701000Z");
    }

    #[test]
    fn the_signing_date_survives_a_round_trip() {
        for seconds in [0, 951_782_400, 1_735_787_045, 4_102_444_799] {
            assert_eq!(parse_basic(&basic(seconds)), Some(seconds));
        }
        assert_eq!(basic(1_735_787_045), "20250102T030405Z");
        for bad in ["", "20250102T030405", "20251302T030405Z", "20250102 030405Z", "2025010aT030405Z"] {
            assert_eq!(parse_basic(bad), None, "{bad}");
        }
    }
}
