//! `GET /v3/manage/repos`: the listing by markers, which stay valid while the list changes.

use super::context::RequestContext;
use super::http::Request;
use super::json_rows::{number, string, write_common};
use super::options::{Permission, UnknownNamespace};
use super::query::Parameters;
use super::response::{ApiError, Response};
use super::world::World;

/// Serves a listing by id; the marker is the last id of the previous page.
pub(super) fn list(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let options = &*context.options;
    let parameters = Parameters::read(request)?;
    let whole = |name: &str, default: usize| {
        parameters
            .get(name)
            .map_or(Ok(default), |text| text.parse().map_err(|_| ApiError::bad_parameter("limit or marker error")))
    };
    let (limit, marker) = (whole("limit", options.default_limit)?, whole("marker", 0)?);
    if limit == 0 || (limit > options.max_limit && options.over_limit == super::OverLimit::Refuse) {
        return Err(ApiError::swr(400, 4_000_056, "page size error"));
    }
    let limit = limit.min(options.max_limit);
    let filter = parameters.filter()?;
    if options.permission == Permission::None || filter.namespace().is_some_and(|name| options.denies(name)) {
        return Err(ApiError::denied());
    }
    let world = context.world();
    if let Some(namespace) = filter.namespace()
        && options.unknown_namespace == UnknownNamespace::NotFound
        && world.organization(namespace).is_none()
    {
        return Err(ApiError::unknown_namespace());
    }
    let mut slots: Vec<u32> = (0..world.slots())
        .filter_map(|slot| u32::try_from(slot).ok())
        .filter(|slot| world.is_live(*slot) && world.row(*slot).id as usize > marker)
        .filter(|slot| filter.admits(&world, options, world.row(*slot)))
        .collect();
    let id = |slot: &u32| world.row(*slot).id;
    let more = slots.len() > limit;
    if more {
        slots.select_nth_unstable_by_key(limit, id);
        slots.truncate(limit);
    }
    slots.sort_unstable_by_key(id);
    Ok(Response::json(page(&world, &slots, more)))
}

fn page(world: &World, slots: &[u32], more: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + slots.len() * 400);
    out.extend_from_slice(b"{\"repos\":[");
    for (index, slot) in slots.iter().enumerate() {
        let row = world.row(*slot);
        number(&mut out, if index == 0 { "{\"id\":" } else { ",{\"id\":" }, row.id.into());
        out.push(b',');
        write_common(&mut out, world, row);
        string(&mut out, ",\"namespace_name\":", world.organization_name(row));
        out.extend_from_slice(b",\"status\":false}");
    }
    out.push(b']');
    // The last page has no marker.
    if let Some(last) = slots.last().filter(|_| more) {
        number(&mut out, ",\"nextMarker\":", world.row(*last).id.into());
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::test_client::get;
    use super::super::{ListV3, Options, Repository, Running, Simulator};

    async fn keys(running: &Running, query: &str, mut between: impl FnMut(usize)) -> Vec<(String, String)> {
        let (mut keys, mut marker) = (Vec::new(), String::new());
        for page in 0.. {
            let reply = get(running, &format!("/v3/manage/repos?{query}{marker}")).await;
            assert_eq!((reply.status, reply.header("content-range")), (200, None));
            let body = reply.json();
            let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
            let rows = body["repos"].as_array().unwrap();
            keys.extend(rows.iter().map(|row| (text(row, "namespace_name"), text(row, "name"))));
            let Some(next) = body["nextMarker"].as_u64() else { break };
            marker = format!("&marker={next}");
            between(page);
        }
        keys
    }

    #[tokio::test]
    async fn the_pages_hold_everything_once_also_while_the_list_changes() {
        let running = Simulator::start(Options { repositories: 95, ..Options::default() }).await.unwrap();
        let truth: BTreeSet<_> = running.handle.repositories().into_iter().map(|r| (r.namespace, r.name)).collect();
        let listed = keys(&running, "limit=10", |page| {
            running.handle.insert(Repository::new("0-new", format!("{page}")));
        })
        .await;
        let unique: BTreeSet<_> = listed.iter().cloned().collect();
        assert_eq!(unique.len(), listed.len());
        assert!(truth.is_subset(&unique) && unique.len() > truth.len());
        let namespace = &truth.first().unwrap().0;
        let of_one = keys(&running, &format!("limit=3&namespace={namespace}"), |_| {}).await;
        assert_eq!(of_one.len(), truth.iter().filter(|(other, _)| other == namespace).count());
    }

    #[tokio::test]
    async fn rows_have_the_keys_of_this_edition_and_a_region_may_lack_it() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let body = get(&running, "/v3/manage/repos?limit=1").await.json();
        let keys: BTreeSet<_> = body["repos"][0].as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = "category created_at description domain_name id is_public name namespace_name num_download num_images size status updated_at";
        assert_eq!(keys, wanted.split(' ').collect());
        assert_eq!(get(&running, "/v3/manage/repos?marker=x").await.status, 400);
        running.handle.configure(|options| options.list_v3 = ListV3::Absent);
        let absent = get(&running, "/v3/manage/repos?limit=1").await;
        assert_eq!((absent.status, absent.json()["error_code"].as_str()), (404, Some("APIGW.0101")));
    }
}
