//! Decompression of responses: gzip in any spelling of its name, and in any number of members.

use super::TransportError;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper::http::{HeaderMap, header};
use std::io::{self, Write};

/// The number of compressed bytes that are decoded at a time. They become at most about four megabytes.
const STEP: usize = 4 << 10;

type Pieces = BoxStream<'static, Result<Bytes, TransportError>>;

/// Whether a response with these headers is compressed by gzip. Names of encodings have no case (RFC 9110, 8.4.1).
pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["gzip", "x-gzip"].iter().any(|name| encoding.trim().eq_ignore_ascii_case(name))
}

pub(super) fn decoded(body: Pieces) -> Pieces {
    struct Decoding {
        /// `None` once the body has ended.
        body: Option<Pieces>,
        input: Bytes,
        decoder: MultiGzDecoder<Vec<u8>>,
        is_empty: bool,
    }
    let start =
        Decoding { body: Some(body), input: Bytes::new(), decoder: MultiGzDecoder::new(Vec::new()), is_empty: true };
    stream::try_unfold(start, |mut state| async move {
        loop {
            if !state.input.is_empty() {
                let step = state.input.split_to(state.input.len().min(STEP));
                state.decoder.write_all(&step).map_err(broken)?;
            } else {
                let Some(body) = &mut state.body else { return Ok(None) };
                match body.next().await.transpose()? {
                    Some(piece) => (state.is_empty, state.input) = (state.is_empty && piece.is_empty(), piece),
                    None => {
                        state.body = None;
                        if !state.is_empty {
                            state.decoder.try_finish().map_err(broken)?;
                        }
                    }
                }
            }
            let output = std::mem::take(state.decoder.get_mut());
            if !output.is_empty() {
                return Ok(Some((Bytes::from(output), state)));
            }
        }
    })
    .boxed()
}

fn broken(error: io::Error) -> TransportError {
    TransportError { what: "the response's compression is broken or cut off", source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Decodes a body that arrives in pieces of a size.
    fn decode(body: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let pieces: Vec<_> = body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut pieces = decoded(stream::iter(pieces).boxed());
        futures_util::FutureExt::now_or_never(async {
            let mut text = Vec::new();
            while let Some(piece) = pieces.next().await {
                text.extend_from_slice(&piece.map_err(|error| error.to_string())?);
            }
            Ok(text)
        })
        .unwrap()
    }

    #[test]
    fn every_spelling_of_gzip_is_understood_and_no_other_encoding() {
        for (encoding, expected) in
            [("gzip", true), ("GZIP", true), ("x-gzip", true), (" X-GZip ", true), ("identity", false), ("br", false)]
        {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())]);
            assert_eq!(is_gzip(&headers), expected, "{encoding}");
        }
        assert!(!is_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_body_that_is_cut_off_or_is_not_gzip_is_an_error_and_an_empty_one_is_empty() {
        let body = gzip(&[7; 100_000]);
        assert!(decode(&body[..body.len() - 1], 10).is_err() && decode(&body[..5], 10).is_err());
        assert!(decode(b"[]", 10).is_err());
        assert_eq!(decode(b"", 10), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_number_of_members_in_any_pieces_gives_the_text(
            members in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..4), size in 1usize..3000,
        ) {
            let body: Vec<u8> = members.iter().flat_map(|member| gzip(member)).collect();
            prop_assert_eq!(decode(&body, size), Ok(members.concat()));
        }
    }
}
