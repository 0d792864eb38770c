//! One refresh of an account: the listing, the auxiliary collectors and tags, and the exposition of the result.

use super::call_counter::CallCounter;
use super::memory::{MemoryShare, instances, weight};
use crate::base::deadline::Deadline;
use crate::cache::{self, Outcome};
use crate::collect::tags::TagCollector;
use crate::collect::{self, AuxiliaryCollectors};
use crate::exposition::{self, Exposition};
use crate::failure::{Failure, Reason};
use crate::model::earlier_sizes::EarlierSizes;
use crate::model::{Snapshot, Timestamp};
use crate::swr::Client;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tracing::warn;

pub(super) struct Collection {
    pub(super) client: Arc<Client>,
    pub(super) options: collect::Options,
    pub(super) metrics: collect::Metrics,
    pub(super) auxiliary: AuxiliaryCollectors,
    pub(super) share: Arc<MemoryShare>,
    pub(super) tags: Option<TagCollector>,
    pub(super) calls: CallCounter,
    /// The latest snapshot, which growth is counted from also when it was withdrawn because it is too old.
    pub(super) latest: Arc<Mutex<Option<Arc<Snapshot>>>>,
}

/// The function that collects and encodes. The exposition is encoded once, when it is published.
pub(super) fn refresher(collection: Arc<Collection>, exposition: exposition::Options) -> cache::Refresh<Exposition> {
    let (hint, filter_warned) = (exposition.filter_hint(), Arc::new(AtomicBool::new(false)));
    let exposition = Arc::new(exposition);
    Box::new(move |previous: Option<Arc<Exposition>>, deadline: Deadline| {
        let (collection, exposition, filter_warned) = (collection.clone(), exposition.clone(), filter_warned.clone());
        Box::pin(async move {
            let Collection { client, options, metrics, auxiliary, share, tags, calls, latest } = &*collection;
            let max_repositories = share.most().unwrap_or(u64::MAX).min(options.max_repositories);
            let options = collect::Options { max_repositories, ..options.clone() };
            let began = Timestamp::from(SystemTime::now());
            let known = previous.as_ref().map(|exposition| exposition.snapshot().clone());
            // Counts calls until this future ends or is dropped.
            let _counting = calls.begin();
            let collected = collect::collect(client, &options, known, began, deadline, metrics).await;
            let collect::Collected { mut snapshot, gap } = collected?;
            let weight_of_rows = weight(&snapshot);
            if !share.has_room_for(weight_of_rows) {
                let message = format!(
                    "the names of {} repositories take more memory than the limit leaves room for",
                    snapshot.repositories.len()
                );
                return Err(Failure::new(Reason::Incomplete, message));
            }
            let known = previous.as_ref().map(|exposition| &**exposition.snapshot());
            let repositories = snapshot.repositories.len() as u64;
            let room = max_repositories.saturating_sub(repositories);
            let figures = auxiliary.collect(client, snapshot.read_at, known, room, deadline);
            let images = async {
                let tags = tags.as_ref()?;
                tags.limit_layers(share.most_layers(repositories));
                Some(Arc::new(tags.refresh(&snapshot, options.wait_policy, deadline).await))
            };
            let ((account, enterprise, artifacts), images) = tokio::join!(figures, images);
            (snapshot.account, snapshot.enterprise, snapshot.artifacts) = (account, enterprise, artifacts);
            snapshot.images = images;
            let before = latest.lock().clone();
            snapshot.size_history = before.as_ref().map(|before| before.size_history.clone()).unwrap_or_default();
            if gap.is_none() {
                snapshot.size_history.record(snapshot.read_at, snapshot.bytes());
            }
            share.hold(weight_of_rows + instances(&snapshot), tags.as_ref().map(TagCollector::memory_in_layers));
            let encode = move || {
                snapshot.earlier_sizes = Some(Arc::new(EarlierSizes::carried(&snapshot, before.as_deref())));
                Exposition::build(Arc::new(snapshot), &exposition, previous.as_deref())
            };
            let value = tokio::task::spawn_blocking(encode)
                .await
                .map_err(|_panic| Failure::new(Reason::Internal, "encoding the exposition panicked"))?;
            *latest.lock() = Some(value.snapshot().clone());
            let leaves_none = !value.snapshot().repositories.is_empty() && value.selected_repositories() == 0;
            let was_warned = filter_warned.swap(leaves_none, Ordering::Relaxed);
            if leaves_none && !was_warned {
                warn!("no repository has series: --repositories.include and --repositories.exclude leave none; {hint}");
            }
            Ok(Outcome { value, gap })
        })
    })
}
