//! Huffman codes as DEFLATE has them (RFC 1951, 3.2.2): of limited length, and given by their lengths alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A code, its first bit lowest, and its length in bits. A symbol that does not occur has the length 0.
pub(super) type Code = (u16, u8);

/// The lengths of the codes with which symbols of these frequencies take the fewest bits, or nearly so where that would need
/// codes of more than `limit` bits.
pub(super) fn lengths<const N: usize>(frequencies: &[u32; N], limit: u8) -> [u8; N] {
    let mut weights = *frequencies;
    loop {
        let lengths = unlimited(&weights);
        if lengths.iter().all(|length| *length <= limit) {
            return lengths;
        }
        // Weights that differ less give lengths that differ less; in the end all are equal.
        for weight in weights.iter_mut().filter(|weight| **weight > 0) {
            *weight = weight.div_ceil(2);
        }
    }
}

/// The lengths without a limit. A single symbol gets a bit.
fn unlimited<const N: usize>(weights: &[u32; N]) -> [u8; N] {
    let leaves = (0..N).filter(|symbol| weights[*symbol] > 0);
    let mut heap: BinaryHeap<_> = leaves.map(|symbol| Reverse((u64::from(weights[symbol]), symbol))).collect();
    let mut lengths = [0; N];
    if let (1, Some(Reverse((_, only)))) = (heap.len(), heap.peek()) {
        lengths[*only] = 1;
        return lengths;
    }
    // The parent of each node; leaves come first, the root last.
    let mut parents = vec![0; N];
    while let (Some(Reverse((one, left))), Some(Reverse((other, right)))) = (heap.pop(), heap.pop()) {
        let node = parents.len();
        (parents[left], parents[right]) = (node, node);
        parents.push(node);
        heap.push(Reverse((one + other, node)));
        if heap.len() == 1 {
            break;
        }
    }
    let mut depths = vec![0_u8; parents.len()];
    for node in (N..parents.len() - 1).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    for symbol in (0..N).filter(|symbol| weights[*symbol] > 0) {
        lengths[symbol] = depths[parents[symbol]] + 1;
    }
    lengths
}

/// The codes of these lengths, of which none is over 15.
pub(super) fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut next = [0_u16; 16];
    for length in 1..16 {
        let shorter = lengths.iter().filter(|other| usize::from(**other) == length - 1 && length > 1).count();
        next[length] = (next[length - 1] + u16::try_from(shorter).unwrap_or_default()) << 1;
    }
    lengths.map(|length| {
        if length == 0 {
            return (0, 0);
        }
        let code = next[usize::from(length)];
        next[usize::from(length)] += 1;
        (code.reverse_bits() >> (16 - length), length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_those_of_the_example_in_the_standard() {
        // RFC 1951, 3.2.2: the alphabet ABCDEFGH with these lengths.
        let codes = codes(&[3, 3, 3, 3, 3, 2, 4, 4]);
        let shown = codes.map(|(code, length)| (code.reverse_bits() >> (16 - length), length));
        assert_eq!(shown, [(2, 3), (3, 3), (4, 3), (5, 3), (6, 3), (0, 2), (14, 4), (15, 4)]);
    }

    #[test]
    fn frequencies_that_would_need_long_codes_get_shorter_ones() {
        let mut fibonacci = [1_u32; 40];
        (2..40).for_each(|index| fibonacci[index] = fibonacci[index - 1] + fibonacci[index - 2]);
        assert_eq!(unlimited(&fibonacci).into_iter().max(), Some(39));
        let limited = lengths(&fibonacci, 15);
        assert!(limited.into_iter().all(|length| (1..=15).contains(&length)));
        assert_eq!(lengths(&[0, 7, 0], 7), [0, 1, 0]);
        assert_eq!(lengths(&[0, 0], 7), [0, 0]);
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_rarer_symbols_have_longer_ones(frequencies: [u16; 30], limit in 5_u8..16) {
            let frequencies = frequencies.map(u32::from);
            let lengths = lengths(&frequencies, limit);
            let used = lengths.iter().filter(|length| **length > 0);
            let kraft: u32 = used.clone().map(|length| 1 << (15 - length)).sum();
            prop_assert!(used.count() < 2 || kraft == 1 << 15);
            for (one, length) in frequencies.iter().zip(lengths) {
                prop_assert_eq!(*one > 0, length > 0);
                prop_assert!(length <= limit);
            }
            if lengths == unlimited(&frequencies) {
                for (one, length) in frequencies.iter().zip(lengths) {
                    for (other, longer) in frequencies.iter().zip(lengths) {
                        prop_assert!(length == 0 || longer == 0 || one <= other || length <= longer);
                    }
                }
            }
        }
    }
}
