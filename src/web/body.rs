//! The body of an answer: several blocks of bytes sent one after the other, none of them copied.

use super::guard::BodyHeld;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// The most that hyper is handed at once. Small, so that little of a page is in the hands of a peer that has stalled
/// and a permit is given back when most of the page is gone; large enough that the calls do not show: with frames of
/// 128 KiB a page of 25 MB took half as long again. Frames are slices of the shared page, so their size costs no memory.
const FRAME: usize = 1024 * 1024;

/// What is left to send, and what must be held until it is sent.
#[derive(Debug, Default)]
pub(super) struct Body {
    parts: VecDeque<Bytes>,
    _permit: Option<OwnedSemaphorePermit>,
    _held: Option<BodyHeld>,
}

impl Body {
    /// The blocks in their order.
    pub(super) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self { parts, _permit: None, _held: None }
    }

    /// Holds a permit until the body is sent or dropped.
    pub(super) fn with_permit(self, permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit), ..self }
    }

    /// Tells the connection's clock when the body is sent or dropped.
    pub(super) fn watched(self, held: BodyHeld) -> Self {
        Self { _held: Some(held), ..self }
    }

    /// Bytes left.
    pub(super) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(part) = self.parts.front_mut() else { return Poll::Ready(None) };
        let chunk = part.split_to(part.len().min(FRAME));
        if part.is_empty() {
            self.parts.pop_front();
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
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
    async fn s6_a_page_is_shared_and_handed_out_in_frames() {
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
