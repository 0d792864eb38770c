//! Decompression of responses: gzip in any spelling of its name, and in any number of members; nothing else.

use super::TransportError;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper::http::{HeaderMap, header};
use std::io::{self, Write};

/// The number of compressed bytes that are decoded at a time. They become at most about four megabytes.
const STEP: usize = 4 << 10;

type Pieces = BoxStream<'static, Result<Bytes, TransportError>>;

/// The body as it was before it was compressed. Compression that nobody asked for is an error of the body: the status
/// of the response is still good.
pub(super) fn plain(headers: &HeaderMap, body: Pieces) -> Pieces {
    // Names of encodings have no case, and there may be a list of them (RFC 9110, 8.4).
    let values = headers.get_all(header::CONTENT_ENCODING).into_iter().map(|value| value.to_str().unwrap_or("binary"));
    let names: Vec<String> = values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    match names.as_slice() {
        [] => body,
        [name] if name == "gzip" || name == "x-gzip" => decoded(body),
        _ => {
            let source = format!("`{}`", names.join(", ")).into();
            let unknown = TransportError { what: "the response is compressed in a way that was not asked for", source };
            stream::once(async { Err(unknown) }).boxed()
        }
    }
}

fn decoded(body: Pieces) -> Pieces {
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
        read_all(decoded(stream::iter(pieces).boxed())).map_err(|error| error.to_string())
    }

    fn read_all(mut pieces: Pieces) -> Result<Vec<u8>, TransportError> {
        futures_util::FutureExt::now_or_never(async {
            let mut text = Vec::new();
            while let Some(piece) = pieces.next().await {
                text.extend_from_slice(&piece?);
            }
            Ok(text)
        })
        .unwrap()
    }

    #[test]
    fn every_spelling_of_gzip_is_understood_and_another_encoding_is_named() {
        let read = |encodings: &[&str], body: Vec<u8>| {
            let lines = encodings.iter().map(|line| (header::CONTENT_ENCODING, line.parse().unwrap()));
            let headers = lines.collect::<HeaderMap>();
            read_all(plain(&headers, stream::iter([Ok(Bytes::from(body))]).boxed()))
        };
        for gzipped in
            [&["gzip"][..], &["GZIP"], &["x-gzip"], &[" X-GZip "], &["identity, gzip"], &["gzip,", "identity"]]
        {
            assert_eq!(read(gzipped, gzip(b"[]")).unwrap(), b"[]", "{gzipped:?}");
        }
        for encodings in [&[][..], &["identity"], &[""]] {
            assert_eq!(read(encodings, b"[]".to_vec()).unwrap(), b"[]", "{encodings:?}");
        }
        for (encodings, named) in [
            (&["br"][..], "`br`"),
            (&["deflate"], "`deflate`"),
            (&["gzip, ZSTD"], "`gzip, zstd`"),
            (&["gzip", "gzip"], "`gzip, gzip`"),
        ] {
            let error = read(encodings, b"[]".to_vec()).unwrap_err();
            assert_eq!(
                (error.what, error.source.to_string().as_str()),
                ("the response is compressed in a way that was not asked for", named)
            );
        }
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
