//! The tags of one repository, page by page.
//!
//! The newest tag comes first, so a push between two pages moves rows to a later page, where they are read twice, and never
//! to an earlier one, where they would be missed.

use super::walk::{WalkError, WalkFailure, Walks};
use crate::model::tags::Tag;
use crate::swr::pages::{FALLBACK_PAGE_SIZE, OffsetPage, smaller_page};
use crate::swr::tags::{MAX_PAGE_SIZE, MAX_TAGS};
use crate::swr::{ApiError, CallBudget, Client};
use std::collections::HashSet;

/// Reads all tags of a repository. Every call waits for the rate limit of the budget, if it has one. A name may be there
/// twice; the tag updated last is the current one. Dropping the future cancels the read.
///
/// # Errors
/// When a call fails, or the list cannot be read completely: never a shorter list.
pub async fn read(
    client: &Client,
    namespace: &str,
    repository: &str,
    budget: &mut CallBudget,
) -> Result<Vec<Tag>, ApiError> {
    let mut walk = TagWalk { client, namespace, repository, budget, calls: 0, latest: None };
    let mut walks = Walks::default();
    loop {
        return match walks.conclude(walk.run().await) {
            None => continue,
            Some(Ok(tags)) => Ok(tags),
            Some(Err(WalkFailure::Call(error))) => Err(error),
            // A list that changes all the time is shown as it was last read; the listing will report the next change.
            Some(Err(_)) => walk.latest.ok_or(ApiError::ListChanging),
        };
    }
}

struct TagWalk<'a> {
    client: &'a Client,
    namespace: &'a str,
    repository: &'a str,
    budget: &'a mut CallBudget,
    calls: u64,
    /// The latest list that is as long as its total, but changed while it was read.
    latest: Option<Vec<Tag>>,
}

impl TagWalk<'_> {
    async fn run(&mut self) -> Result<Vec<Tag>, WalkError> {
        let learned = &self.client.max_tag_page_size;
        let mut tags: Vec<Tag> = Vec::new();
        let mut limit = learned.get().unwrap_or(MAX_PAGE_SIZE);
        let (mut offset, mut total, mut moved) = (0, None, false);
        let mut beginnings = HashSet::new();
        loop {
            let page = match self.page(offset, limit).await {
                Err(ApiError::Refused(_)) if offset == 0 && limit > FALLBACK_PAGE_SIZE => {
                    limit = FALLBACK_PAGE_SIZE;
                    let page = self.page(offset, limit).await?;
                    // Set only after a success, because the repository may be the reason of the refusal.
                    learned.set(limit);
                    page
                }
                Err(ApiError::TooLarge { .. }) if limit > 1 => {
                    // The manifests of this repository are large, which says nothing of others. It is read again from its
                    // beginning, because some versions accept only offsets that are multiples of the limit.
                    (limit, offset, total, moved) = (smaller_page(limit), 0, None, false);
                    tags.clear();
                    beginnings.clear();
                    continue;
                }
                page => page?,
            };
            let page = self.confirmed(page, offset, limit).await?;
            if tags.len() + page.rows.len() > MAX_TAGS {
                return Err(ApiError::TooManyRows { limit: MAX_TAGS as u64 }.into());
            }
            moved |= offset > 0 && total != page.total;
            total = page.total;
            // Between two pages a push moves one row to the later page, which begins with another row all the same.
            if let [first, _, ..] = page.rows.as_slice()
                && !beginnings.insert(first.name.clone())
            {
                self.latest = None;
                return Err(WalkError::Inconsistent("a page begins like one before it".to_owned()));
            }
            offset += page.received;
            tags.extend(page.rows);
            // Without a total that can be right, only an empty page proves the end: the server's pages may be smaller than
            // requested.
            let is_complete = match total {
                Some(total) if total >= offset => total == offset,
                _ => page.received == 0,
            };
            if is_complete || page.received == 0 {
                let several_pages = offset > page.received;
                let mut names = HashSet::new();
                moved |= several_pages && !tags.iter().all(|tag| names.insert(&tag.name));
                if is_complete && !moved {
                    return Ok(tags);
                }
                // A tag that moved from a later page to an earlier one may be missing.
                self.latest = Some(tags).filter(|_| is_complete).or(self.latest.take());
                return Err(WalkError::Inconsistent("the list of tags changed".to_owned()));
            }
            // Some versions accept only offsets that are multiples of the limit, so the next page is as large as this one.
            limit = limit.min(page.received);
        }
    }

    /// A page that is short though more tags follow, read once more: by accident, or because the server's pages are smaller.
    async fn confirmed(&mut self, page: OffsetPage<Tag>, offset: u64, limit: u64) -> Result<OffsetPage<Tag>, ApiError> {
        let goes_on = page.total.is_some_and(|total| total > offset + page.received);
        if page.received == 0 || page.received >= limit || !goes_on {
            return Ok(page);
        }
        let again = self.page(offset, limit).await?;
        Ok(if again.received > page.received { again } else { page })
    }

    async fn page(&mut self, offset: u64, limit: u64) -> Result<OffsetPage<Tag>, ApiError> {
        // The budget came ready for one call.
        if self.calls > 0 {
            self.budget.next_call().await;
        }
        self.calls += 1;
        self.client.tag_page(self.namespace, self.repository, offset, limit, self.budget).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Authenticator;
    use crate::swr::Options;
    use crate::swr::fake_upstream::{BodyEnd, Reply, given, good, minutes, setup, setup_by};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn lists_have_smaller_pages_for_an_hour_where_those_were_seen_to_work() {
        // One repository is refused with any page size, the next one only with large pages.
        let setup = setup(|number| if number < 3 { Reply::Status(400, None) } else { good() });
        let (client, mut budget) = (&setup.client, minutes(1));
        assert!(read(client, "org", "odd", &mut budget).await.is_err());
        assert_eq!(client.max_tag_page_size.get(), None, "the page was not what was refused");
        assert!(read(client, "org", "app", &mut budget).await.is_ok());
        assert_eq!((setup.sent().len(), client.max_tag_page_size.get()), (4, Some(100)));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(client.max_tag_page_size.get(), None);
    }

    /// A list of tags, each of a hundred bytes, of which a response may have at most 10,000.
    fn heavy_tags(url: &str) -> Reply {
        let number = |key: &str| url.split_once(key).unwrap().1.split('&').next().unwrap().parse::<usize>().unwrap();
        let (offset, limit) = (number("offset="), number("limit="));
        assert!(offset % limit == 0 || offset >= 300, "{url}");
        let tag = |number: usize| format!(r#"{{"Tag":"t{number:03}","manifest":"{}"}}"#, "x".repeat(75));
        let tags: Vec<String> = (offset..(offset + limit).min(300)).map(tag).collect();
        let body: &'static str = Box::leak(format!("[{}]", tags.join(",")).into_boxed_str());
        Reply::Pieces(vec![(Duration::ZERO, body)], BodyEnd::Complete)
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_too_large_is_read_in_smaller_pages() {
        let options = Options { max_response_bytes: 10_000, ..Options::default() };
        let setup = setup_by(options, Authenticator::new(given(), None), |_, url| heavy_tags(url));
        let tags = read(&setup.client, "org", "app", &mut minutes(5)).await.unwrap();
        let names: HashSet<_> = tags.iter().map(|tag| &tag.name).collect();
        assert_eq!(names.len(), 300);
        assert!(setup.sent().len() <= 2 + 300 / 62 + 2, "{}", setup.sent().len());
        assert_eq!(setup.client.max_tag_page_size.get(), None, "it says nothing of other repositories");
    }

    /// A server with 250 tags, that answers with the given rows and total.
    fn list_of_tags(
        answer: impl Fn(usize, usize, usize) -> (std::ops::Range<usize>, usize) + Send + Sync + 'static,
    ) -> crate::swr::fake_upstream::Setup {
        let options = Options { max_response_bytes: 1 << 20, ..Options::default() };
        setup_by(options, Authenticator::new(given(), None), move |number, url| {
            let value = |key: &str| url.split_once(key).unwrap().1.split('&').next().unwrap().parse::<usize>().unwrap();
            let (rows, total) = answer(number, value("offset="), value("limit="));
            let rows = rows.start.min(250)..rows.end.min(250);
            let range = format!("{}-{}/{total}", rows.start, rows.len());
            let tags: Vec<String> = rows.map(|number| format!(r#"{{"Tag":"t{number:03}"}}"#)).collect();
            Reply::Page(Box::leak(range.into_boxed_str()), format!("[{}]", tags.join(",")))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_total_that_is_too_low_ends_no_list() {
        for total in [0, 5, 99] {
            let setup = list_of_tags(move |_, offset, limit| (offset..offset + limit.min(100), total));
            let tags = read(&setup.client, "org", "app", &mut minutes(5)).await.unwrap();
            assert_eq!((tags.len(), setup.sent().len()), (250, 4), "total {total}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_that_repeat_are_no_list() {
        for reachable in [0, 100] {
            let setup = list_of_tags(move |_, offset, _| {
                let from = offset.min(reachable);
                (from..from + 100, 250)
            });
            let error = read(&setup.client, "org", "app", &mut minutes(5)).await.unwrap_err();
            assert!(matches!(error, ApiError::ListChanging), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_short_once_makes_no_later_one_small() {
        for short in [0, 2] {
            let setup = list_of_tags(move |number, offset, limit| {
                let rows = if number == short { 3 } else { limit.min(100) };
                (offset..offset + rows, 250)
            });
            let tags = read(&setup.client, "org", "app", &mut minutes(5)).await.unwrap();
            assert_eq!(tags.len(), 250);
            assert!(setup.sent().len() <= 5, "{} calls", setup.sent().len());
        }
    }
}
