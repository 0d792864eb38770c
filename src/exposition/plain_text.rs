//! The plain text of an exposition, inflated part by part. Where there is room, it is kept for the scrapes that follow.

use super::compress::{Deflated, Part};
use bytes::{Buf, Bytes};
use flate2::{Decompress, FlushDecompress};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of plain text that are inflated at once: enough to keep the socket busy, less than a millisecond of work.
const INFLATED: usize = 256 << 10;

/// The room for kept plain text. Clones share it.
#[derive(Clone, Debug)]
pub struct PlainTextRoom(Arc<AtomicUsize>);

impl PlainTextRoom {
    /// Room for `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes room for `bytes`, if there is so much.
    pub(super) fn take(&self, bytes: usize) -> Option<TakenRoom> {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).ok()?;
        Some(TakenRoom { of: self.clone(), bytes })
    }
}

/// Taken room; given back when it is dropped.
pub(super) struct TakenRoom {
    of: PlainTextRoom,
    bytes: usize,
}

impl Drop for TakenRoom {
    fn drop(&mut self) {
        self.of.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A kept text. It is dropped with the last exposition that has the part and the last response that sends it.
struct KeptText {
    text: Vec<u8>,
    _room: TakenRoom,
}

impl AsRef<[u8]> for KeptText {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// Plain text in pieces. A piece is made when it is taken, unless it is kept.
#[derive(Debug)]
pub(super) struct PlainText {
    deflated: Arc<Deflated>,
    room: PlainTextRoom,
    inflater: Decompress,
    /// What is left of the part that is being inflated.
    rest: Bytes,
    /// The index of the part after it.
    next: usize,
    /// Bytes to come.
    left: usize,
}

impl PlainText {
    pub(super) fn new(deflated: Arc<Deflated>, room: PlainTextRoom) -> Self {
        let left = deflated.text_length;
        Self { deflated, room, inflater: Decompress::new(false), rest: Bytes::new(), next: 0, left }
    }

    /// Bytes to come.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The whole next part, if it is kept or there is room to keep it.
    fn kept_part(&mut self) -> Option<Bytes> {
        let part = self.rest.is_empty().then(|| self.deflated.parts().get(self.next)).flatten()?;
        let text = part.kept_text.get().cloned().or_else(|| {
            let room = self.room.take(part.text_length())?;
            let text = inflate(&mut self.inflater, part);
            // Another scrape may have been faster.
            Some(part.kept_text.get_or_init(|| Bytes::from_owner(KeptText { text, _room: room })).clone())
        })?;
        self.next += 1;
        Some(text)
    }

    /// The next [`INFLATED`] bytes, of any number of parts.
    fn inflated(&mut self) -> Bytes {
        let wanted = self.left.min(INFLATED);
        let mut text = Vec::with_capacity(wanted);
        while text.len() < wanted {
            if self.rest.is_empty() {
                self.inflater.reset(false);
                self.rest = self.deflated.parts()[self.next].bytes();
                self.next += 1;
            }
            advance(&mut self.inflater, &mut self.rest, &mut text);
        }
        Bytes::from(text)
    }
}

impl Iterator for PlainText {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let text = self.kept_part().unwrap_or_else(|| self.inflated());
        self.left -= text.len();
        Some(text)
    }
}

fn inflate(inflater: &mut Decompress, part: &Part) -> Vec<u8> {
    let length = part.text_length();
    let (mut text, mut rest) = (Vec::with_capacity(length), part.bytes());
    inflater.reset(false);
    while text.len() < length {
        advance(inflater, &mut rest, &mut text);
    }
    text
}

/// Inflates as much as the text has room for.
fn advance(inflater: &mut Decompress, rest: &mut Bytes, text: &mut Vec<u8>) {
    let before = inflater.total_in();
    inflater.decompress_vec(rest, text, FlushDecompress::None).expect("it was deflated by this program");
    rest.advance(usize::try_from(inflater.total_in() - before).expect("no more than the part"));
}
