//! Numbers as both formats want them. Integers and timestamps are written exactly, never by way of a float.

use crate::model::Timestamp;
use std::io::Write as _;

const NANOSECONDS: u64 = 1_000_000_000;

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
    let fraction = magnitude % NANOSECONDS;
    if fraction > 0 {
        // Nine digits behind a one, in whose place the point comes.
        let point = out.len();
        integer(NANOSECONDS + fraction, out);
        out[point] = b'.';
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Appends a float in the fewest digits that read back as the same value.
pub(super) fn float(value: f64, out: &mut Vec<u8>) {
    match value {
        value if value.is_nan() => out.extend_from_slice(b"NaN"),
        f64::INFINITY => out.extend_from_slice(b"+Inf"),
        f64::NEG_INFINITY => out.extend_from_slice(b"-Inf"),
        value => write!(out, "{value}").expect("writing to memory cannot fail"),
    }
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
    fn integers_and_timestamps_are_exact() {
        assert_eq!(text(|out| integer(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(text(|out| integer(u128::MAX, out)), u128::MAX.to_string());
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
    fn a_float_is_short_and_reads_back() {
        for (value, want) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (2e-9, "0.000000002"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(|out| float(value, out)), want);
        }
        for value in [1.5e300, f64::MIN_POSITIVE, f64::MAX] {
            assert_eq!(text(|out| float(value, out)).parse(), Ok(value));
        }
    }
}
