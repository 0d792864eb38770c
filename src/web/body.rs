//! The body of an answer: several blocks of bytes sent one after the other, none of them copied.

use crate::exposition::ResponseBody;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// The most that hyper is handed at once. Small, so that little of a page is in the hands of a peer that has stalled
/// and a permit is given back when most of the page is gone; large enough that the calls do not show: with frames of
/// 128 KiB a page of 25 MB took half as long again. Frames are slices of the shared page, so their size costs no memory.
const FRAME: usize = 1024 * 1024;

/// In HTTP/2, where taking a frame is the only sign that the peer takes the answer: one that takes 2 KiB a second shows
/// life within the time that it has to.
pub(super) const SMALL_FRAME: usize = 64 * 1024;

/// Whoever wants to know how a body fares. Dropped when hyper needs no more of the body.
pub(super) trait Observer: Send {
    /// A frame was taken; whether it was the last.
    fn taken(&mut self, last: bool);
}

/// What is left to send, and what must be held until it is sent.
pub(super) struct Body {
    current: Bytes,
    rest: ResponseBody,
    frame: usize,
    _permit: Option<OwnedSemaphorePermit>,
    observer: Option<Box<dyn Observer>>,
}

impl Body {
    /// The blocks in their order.
    pub(super) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self::streamed(parts.into_iter().collect())
    }

    /// The pieces of a scrape's response, made as they are sent.
    pub(super) fn streamed(rest: ResponseBody) -> Self {
        Self { current: Bytes::new(), rest, frame: FRAME, _permit: None, observer: None }
    }

    /// Holds a permit until the body is sent or dropped.
    pub(super) fn with_permit(self, permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit), ..self }
    }

    /// Tells the connection's clock how it fares.
    pub(super) fn watched(self, observer: impl Observer + 'static) -> Self {
        Self { observer: Some(Box::new(observer)), ..self }
    }

    /// Hands itself out in [`SMALL_FRAME`]s.
    pub(super) fn in_small_frames(self) -> Self {
        Self { frame: SMALL_FRAME, ..self }
    }

    /// Sends nothing: the answer to HEAD.
    pub(super) fn withheld(self) -> Self {
        Self { current: Bytes::new(), rest: ResponseBody::default(), ..self }
    }

    /// Bytes left.
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
    async fn a_page_is_shared_and_handed_out_in_frames() {
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
