//! The body of a response: several blocks of bytes, sent one after the other without copying.

use super::places::ScrapePlace;
use crate::exposition::ResponseBody;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of a frame. Small enough that a place is released soon after most of the body is sent; large enough that the
/// calls do not matter: with 128 KiB a body of 25 MB took 1.5 times as long. Frames are slices, so they cost no memory.
const FRAME: usize = 1024 * 1024;

/// Bytes of a frame in HTTP/2, where a taken frame is the only sign of progress: small enough that a peer that reads
/// 2 KiB/s makes progress within [`Limits::write_progress`](super::Limits::write_progress).
pub(super) const SMALL_FRAME: usize = 64 * 1024;

/// Observes the progress of a body. Dropped with the body, when hyper needs no more of it.
pub(super) trait BodyObserver: Send {
    /// hyper took a frame.
    fn taken(&mut self, last: bool);
}

/// The bytes left to send, and the place held until they are sent.
pub(super) struct Body {
    current: Bytes,
    rest: ResponseBody,
    frame: usize,
    _place: Option<ScrapePlace>,
    observer: Option<Box<dyn BodyObserver>>,
}

impl Body {
    pub(super) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self::streamed(parts.into_iter().collect())
    }

    /// The pieces of a scrape's response, made as they are sent.
    pub(super) fn streamed(rest: ResponseBody) -> Self {
        Self { current: Bytes::new(), rest, frame: FRAME, _place: None, observer: None }
    }

    /// Holds a place until the body is sent or dropped.
    pub(super) fn with_place(self, place: ScrapePlace) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// Reports progress to the connection's timer.
    pub(super) fn observed(self, observer: impl BodyObserver + 'static) -> Self {
        Self { observer: Some(Box::new(observer)), ..self }
    }

    pub(super) fn in_small_frames(self) -> Self {
        Self { frame: SMALL_FRAME, ..self }
    }

    /// Sends nothing: the response to HEAD.
    pub(super) fn withheld(self) -> Self {
        Self { current: Bytes::new(), rest: ResponseBody::default(), ..self }
    }

    pub(super) fn len(&self) -> u64 {
        (self.current.len() + self.rest.len()) as u64
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.current.is_empty() {
            let Some(next) = self.rest.next() else { return Poll::Ready(None) };
            self.current = next;
        }
        let length = self.current.len().min(self.frame);
        let chunk = self.current.split_to(length);
        let last = self.is_end_stream();
        if let Some(observer) = &mut self.observer {
            observer.taken(last);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn blocks_are_sent_in_frames_without_copying() {
        let page = Bytes::from(vec![7; FRAME + 1]);
        let mut body = Body::new([Bytes::from_static(b"live"), Bytes::new(), page.clone()]);
        assert_eq!(body.size_hint().exact(), Some(4 + FRAME as u64 + 1));
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert!(body.is_end_stream());
        assert_eq!(frames.iter().map(Bytes::len).collect::<Vec<_>>(), [4, FRAME, 1]);
        assert_eq!(frames[1].as_ptr(), page.as_ptr(), "the same memory");
        assert_eq!(frames[2].as_ptr(), page[FRAME..].as_ptr());
    }
}
