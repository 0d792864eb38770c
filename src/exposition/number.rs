//! Numbers as both formats want them, without a detour through floats where the value is not one.

use crate::model::Timestamp;
use std::io::Write as _;

const NANOSECONDS: u64 = 1_000_000_000;

/// Appends an integer in full, whatever a reader's 64-bit float will make of it.
pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends seconds since the epoch as an exact decimal fraction without trailing zeros.
pub(super) fn seconds(time: Timestamp, out: &mut Vec<u8>) {
    let magnitude = time.0.unsigned_abs();
    if time.0 < 0 {
        out.push(b'-');
    }
    integer(magnitude / NANOSECONDS, out);
    let mut fraction = magnitude % NANOSECONDS;
    if fraction == 0 {
        return;
    }
    let mut digits = [b'0'; 9];
    for digit in digits.iter_mut().rev() {
        *digit += (fraction % 10) as u8;
        fraction /= 10;
    }
    let used = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    out.push(b'.');
    out.extend_from_slice(&digits[..used]);
}

/// Appends a sample value: integers without a fraction, an exponent only where the digits would fill a line.
pub(super) fn float(value: f64, out: &mut Vec<u8>) {
    if special(value, out) {
        return;
    }
    if value == 0.0 || (1e-7..1e21).contains(&value.abs()) {
        put(out, format_args!("{value}"));
    } else {
        put(out, format_args!("{value:e}"));
    }
}

/// Appends a bucket's bound as Go prints it (`%g`), which is what both formats call canonical: readers compare bounds as
/// text. OpenMetrics adds `.0` to a bound that would look like an integer; text 0.0.4 does not.
pub(super) fn bound(value: f64, always_float: bool, out: &mut Vec<u8>) {
    if special(value, out) {
        return;
    }
    // `d.ddde-7`: the shortest digits that read back as the same value, and the exponent that decides the notation.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        put(out, format_args!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
        return;
    }
    put(out, format_args!("{value}"));
    if always_float && value.fract() == 0.0 {
        out.extend_from_slice(b".0");
    }
}

/// Appends what is not a number in digits; tells whether it was one.
fn special(value: f64, out: &mut Vec<u8>) -> bool {
    let word: &[u8] = match value {
        value if value.is_nan() => b"NaN",
        f64::INFINITY => b"+Inf",
        f64::NEG_INFINITY => b"-Inf",
        _ => return false,
    };
    out.extend_from_slice(word);
    true
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_are_exact_at_every_border() {
        for value in [0, (1 << 53) + 1, (1 << 63) - 1, u64::MAX] {
            assert_eq!(text(|out| integer(value, out)), value.to_string());
        }
        assert_eq!(text(|out| integer(u128::MAX, out)), u128::MAX.to_string());
    }

    #[test]
    fn a_timestamp_is_an_exact_decimal() {
        for (nanoseconds, want) in [
            (1_505_098_802_542_841_141, "1505098802.542841141"),
            (1_483_228_800_000_000_000, "1483228800"),
            (1_505_098_802_500_000_000, "1505098802.5"),
            (1_000_000_001, "1.000000001"),
            (0, "0"),
            (-1, "-0.000000001"),
            (-1_500_000_000, "-1.5"),
            (-2_000_000_000, "-2"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(text(|out| seconds(Timestamp(nanoseconds), out)), want);
        }
    }

    #[test]
    fn a_sample_value_is_short_and_reads_back() {
        for (value, want) in [
            (0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (1.5e300, "1.5e300"),
            (2e-9, "2e-9"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(|out| float(value, out)), want);
        }
    }

    #[test]
    fn a_bound_is_canonical() {
        for (value, plain, always_float) in [
            (0.0, "0", "0.0"),
            (0.005, "0.005", "0.005"),
            (1.0, "1", "1.0"),
            (2.5, "2.5", "2.5"),
            (1e-5, "1e-05", "1e-05"),
            (1e-4, "0.0001", "0.0001"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (12_345_678.0, "1.2345678e+07", "1.2345678e+07"),
            (1.5e300, "1.5e+300", "1.5e+300"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ] {
            assert_eq!(text(|out| bound(value, false, out)), plain);
            assert_eq!(text(|out| bound(value, true, out)), always_float);
        }
    }
}
