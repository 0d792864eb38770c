//! `GET /v2/manage/repos`: selects and writes a page.
//!
//! A page of a thousand repositories takes about a millisecond, so that benchmarks against the simulator measure
//! the client.

use super::context::RequestContext;
use super::http::Request;
use super::json_rows::write_row;
use super::options::{Options, Permission, Ties, UnknownNamespace};
use super::query::{Filter, PageRange, Parameters, SortOrder};
use super::repository_row::Column;
use super::response::{ApiError, Response};
use super::world::World;

/// Serves a listing.
pub(super) fn list(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let options = &*context.options;
    let parameters = Parameters::read(request)?;
    let page = parameters.page(options)?;
    let order = parameters.order()?;
    let filter = parameters.filter()?;
    if options.permission == Permission::None {
        return Err(ApiError::denied());
    }
    if let Some(namespace) = &filter.namespace
        && options.denies(namespace)
    {
        return Err(ApiError::denied());
    }
    let mut world = context.world();
    if let Some(namespace) = &filter.namespace
        && options.unknown_namespace == UnknownNamespace::NotFound
        && world.organization(namespace).is_none()
    {
        return Err(ApiError::unknown_namespace());
    }
    let ties = if context.ordinal % 2 == 1 { options.ties } else { Ties::Stable };
    let (slots, total) = select(&mut world, options, &filter, order, page, ties);
    let mut body = Vec::with_capacity(64 + slots.len() * 700);
    body.push(b'[');
    for (index, slot) in slots.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write_row(&mut body, &world, world.row(*slot), total);
    }
    body.push(b']');
    Ok(page.announce(Response::json(body), slots.len(), total))
}

/// The rows of a page, and the number of matches.
fn select(
    world: &mut World,
    options: &Options,
    filter: &Filter,
    order: SortOrder,
    page: PageRange,
    ties: Ties,
) -> (Vec<u32>, usize) {
    let everyone_admitted = filter.is_simple() && options.permission == Permission::All;
    if everyone_admitted && filter.namespace.is_none() {
        world.prepare(order.column);
        let slots = world.ordered(order.column);
        return (cut(world, slots, order, page, ties), slots.len());
    }
    let mut slots = match &filter.namespace {
        Some(namespace) => world.organization(namespace).map_or(Vec::new(), |(_, found)| found.by_name.clone()),
        None => world.ordered(Column::Name).to_vec(),
    };
    if !everyone_admitted {
        slots.retain(|&slot| filter.admits(world, options, world.row(slot)));
    }
    if order.column != Column::Name {
        world.sort(&mut slots, order.column);
    }
    (cut(world, &slots, order, page, ties), slots.len())
}

/// Cuts a page out of rows in ascending order.
fn cut(world: &World, slots: &[u32], order: SortOrder, page: PageRange, ties: Ties) -> Vec<u32> {
    let name = |at: usize| &world.row(slots[at]).name;
    (page.offset..slots.len().min(page.offset.saturating_add(page.limit)))
        .map(|place| if order.descending { slots.len() - 1 - place } else { place })
        .map(|at| {
            if ties == Ties::Stable || order.column != Column::Name {
                return slots[at];
            }
            let before = (0..at).rev().take_while(|&other| name(other) == name(at)).count();
            let after = (at + 1..slots.len()).take_while(|&other| name(other) == name(at)).count();
            slots[at - before + after]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::context::REGISTRY;
    use super::super::test_client::{ask, get, list};
    use super::super::{DEMO_TOKEN, Offsets, OverLimit, Repository, Simulator};
    use super::*;

    async fn start(repositories: usize) -> super::super::Running {
        Simulator::start(Options { repositories, ..Options::default() }).await.unwrap()
    }

    #[tokio::test]
    async fn content_range_counts_items_and_needs_both_parameters() {
        let running = start(250).await;
        for (query, count, range) in [
            ("offset=0&limit=100", 100, Some("0-100/250")),
            ("offset=200&limit=100", 50, Some("200-50/250")),
            ("offset=300&limit=100", 0, Some("300-0/250")),
            ("offset=7&limit=1", 1, Some("7-1/250")),
            ("offset=0&limit=5000", 250, Some("0-250/250")),
            ("", 100, None),
            ("limit=7", 100, None),
            ("offset=240", 100, None),
            ("offset=minus", 100, None),
        ] {
            let reply = list(&running, query).await;
            assert_eq!((reply.status, reply.header("content-range")), (200, range), "{query}");
            assert_eq!(reply.json().as_array().unwrap().len(), count, "{query}");
            assert_eq!(reply.header("x-request-id").unwrap().len(), 32);
            assert!(httpdate::parse_http_date(reply.header("date").unwrap()).is_ok());
        }
        let empty = start(0).await;
        let reply = list(&empty, "offset=0&limit=100").await;
        assert_eq!((reply.text(), reply.header("content-range")), ("[]", Some("0-0/0")));
    }

    #[tokio::test]
    async fn pages_of_any_size_cover_the_truth_once() {
        let running = start(300).await;
        let truth = running.handle.repositories();
        for limit in [1_usize, 7, 100, 299, 300, 1_000] {
            let mut rows: Vec<Value> = Vec::new();
            for offset in (0..300).step_by(limit) {
                let page = list(&running, &format!("offset={offset}&limit={limit}")).await.json();
                rows.extend(page.as_array().unwrap().iter().cloned());
            }
            assert_eq!(rows.len(), truth.len());
            for (row, known) in rows.iter().zip(&truth) {
                assert_eq!(row["name"], *known.name);
                assert_eq!(row["namespace"], *known.namespace);
                assert_eq!(row["size"], known.size);
                assert_eq!(row["num_images"], known.num_images());
                assert_eq!(row["num_download"], known.num_download);
                assert_eq!(row["is_public"], known.is_public);
                assert_eq!(row["category"], *known.category);
                assert_eq!(row["description"], *known.description);
                assert_eq!(row["tags"], Value::from(known.tags.clone()));
                assert_eq!(row["created_at"], super::super::rfc3339(known.created_nanos));
                assert_eq!(row["updated_at"], super::super::rfc3339(known.updated_nanos));
                assert_eq!(row["total_range"], 300);
            }
        }
    }

    #[tokio::test]
    async fn a_row_has_the_documented_keys_and_is_legal_json_whatever_its_name() {
        let running = start(0).await;
        let name = "we\"ird\\/\u{7}组织";
        running.handle.insert(Repository { tags: vec!["a\"b".to_owned()], ..Repository::new("org", name) });
        let reply = list(&running, "offset=0&limit=1").await.json();
        let row = reply[0].as_object().unwrap();
        let keys: BTreeSet<&str> = row.keys().map(String::as_str).collect();
        let documented = "name namespace category description size is_public num_images num_download created_at updated_at \
                          logo url path internal_path domain_name tags status total_range";
        assert_eq!(keys, documented.split_whitespace().collect());
        assert_eq!(row["name"], name);
        assert_eq!(row["tags"][0], "a\"b");
        assert_eq!(row["path"], format!("{REGISTRY}/org/{name}"));
    }

    #[tokio::test]
    async fn filters_select() {
        let running = start(0).await;
        for (namespace, name, category, is_public) in [
            ("team-a", "web/api", "linux", false),
            ("team-a", "web/ui", "arm", true),
            ("team-b", "web/api", "linux", true),
            ("other", "db", "database", false),
        ] {
            let category = category.to_owned();
            running.handle.insert(Repository { category, is_public, ..Repository::new(namespace, name) });
        }
        for (query, expected) in [
            ("namespace=team-a", "team-a:web/api team-a:web/ui"),
            ("namespace=team", ""),
            ("name=api", "team-a:web/api team-b:web/api"),
            ("name=web%24u", "team-a:web/ui"),
            ("category=linux", "team-a:web/api team-b:web/api"),
            ("is_public=true", "team-b:web/api team-a:web/ui"),
            ("namespace=team-a&is_public=false", "team-a:web/api"),
            ("namespace=", "other:db team-a:web/api team-b:web/api team-a:web/ui"),
            // The filter wins over plain conditions; in it, organizations match by part.
            ("filter=center::self", "other:db team-a:web/api team-b:web/api team-a:web/ui"),
            ("filter=namespace%3A%3Ateam%7Cname%3A%3Aui&namespace=other", "team-a:web/ui"),
            ("filter=offset::1|limit::1|order_column::name|order_type::desc&offset=0", "team-b:web/api"),
        ] {
            let reply = list(&running, query).await;
            let rows = reply.json();
            let found: Vec<String> = rows
                .as_array()
                .unwrap()
                .iter()
                .map(|row| format!("{}:{}", row["namespace"].as_str().unwrap(), row["name"].as_str().unwrap()))
                .collect();
            assert_eq!(found.join(" "), expected, "{query}");
        }
        let page = list(&running, "namespace=team-a&offset=1&limit=1").await;
        assert_eq!(page.header("content-range"), Some("1-1/2"));
    }

    #[tokio::test]
    async fn orders_sort_by_their_column() {
        let running = start(200).await;
        for (column, key) in [
            ("name", "name"),
            ("updated_time", "updated"),
            ("tag_count", "num_images"),
            ("namespace", "namespace"),
            ("is_public", "is_public"),
        ] {
            for direction in ["asc", "desc"] {
                let filters = ["", "&namespace=payments", "&is_public=false"];
                for filter in filters {
                    let query = format!("offset=0&limit=1000&order_column={column}&order_type={direction}{filter}");
                    let rows = list(&running, &query).await.json();
                    let mut keys: Vec<String> = rows
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|row| match key {
                            "num_images" => format!("{:09}", row[key].as_u64().unwrap()),
                            "updated" => {
                                let known = |k: &str| row[k].as_str().unwrap().to_owned();
                                let found = running.handle.get(&known("namespace"), &known("name")).unwrap();
                                format!("{:020}", found.updated_nanos)
                            }
                            _ => row[key].to_string(),
                        })
                        .collect();
                    assert!(!keys.is_empty());
                    if direction == "desc" {
                        keys.reverse();
                    }
                    assert!(keys.is_sorted(), "{query}");
                }
            }
        }
        // One without the other is ignored, even a wrong one.
        assert_eq!(list(&running, "order_column=nonsense").await.status, 200);
    }

    #[tokio::test]
    async fn a_new_update_time_changes_the_order_by_it() {
        let running = start(50).await;
        let last = "offset=0&limit=1&order_column=updated_time&order_type=desc";
        let before = list(&running, last).await.column("name");
        running.handle.insert(Repository { updated_nanos: i64::MAX, ..Repository::new("new", "newest") });
        assert_ne!(before, ["newest"]);
        assert_eq!(list(&running, last).await.column("name"), ["newest"]);
        running.handle.update("new", "newest", |repository| repository.updated_nanos = 0);
        assert_eq!(list(&running, last).await.column("name"), before);
    }

    #[tokio::test]
    async fn bad_parameters_get_their_codes_in_the_current_shape() {
        let running = start(10).await;
        for (query, code) in [
            ("offset=-1&limit=10", "SVCSTG.SWR.4001025"),
            ("offset=0&limit=ten", "SVCSTG.SWR.4001025"),
            ("offset=&limit=10", "SVCSTG.SWR.4001025"),
            ("offset=0&limit=0", "SVCSTG.SWR.4000056"),
            ("order_column=updated_at&order_type=asc", "SVCSTG.SWR.4001096"),
            ("order_column=name&order_type=up", "SVCSTG.SWR.4001025"),
            ("is_public=maybe", "SVCSTG.SWR.4001025"),
            ("filter=namespace", "SVCSTG.SWR.4001035"),
            ("filter=center::thirdparty", "SVCSTG.SWR.4001035"),
        ] {
            let reply = list(&running, query).await;
            assert_eq!((reply.status, &reply.json()["error_code"]), (400, &Value::from(code)), "{query}");
            assert_eq!(reply.json()["errors"][0]["errorCode"], code);
        }
    }

    #[tokio::test]
    async fn what_is_undocumented_can_be_switched() {
        let running = start(40).await;
        running.handle.configure(|options| {
            options.max_limit = 20;
            options.over_limit = OverLimit::Refuse;
            options.offsets = Offsets::MultiplesOfLimit;
            options.unknown_namespace = UnknownNamespace::NotFound;
        });
        assert_eq!(list(&running, "offset=0&limit=21").await.json()["error_code"], "SVCSTG.SWR.4000056");
        assert_eq!(list(&running, "offset=5&limit=10").await.json()["error_code"], "SVCSTG.SWR.4001025");
        assert_eq!(list(&running, "offset=10&limit=10").await.header("content-range"), Some("10-10/40"));
        assert_eq!(list(&running, "namespace=absent").await.status, 404);
        running.handle.configure(|options| options.over_limit = OverLimit::Clamp);
        assert_eq!(list(&running, "offset=0&limit=21").await.header("content-range"), Some("0-20/40"));
    }

    #[tokio::test]
    async fn permission_can_be_withdrawn_wholly_or_in_part() {
        let running = start(0).await;
        for namespace in ["open", "closed"] {
            running.handle.insert(Repository::new(namespace, "app"));
        }
        running.handle.configure(|options| options.permission = Permission::Except(vec!["closed".to_owned()]));
        assert_eq!(list(&running, "offset=0&limit=9").await.column("namespace"), ["open"]);
        let reply = list(&running, "namespace=closed").await;
        assert_eq!((reply.status, &reply.json()["error_code"]), (403, &Value::from("SVCSTG.SWR.4030170")));
        running.handle.configure(|options| options.permission = Permission::None);
        assert_eq!(list(&running, "").await.status, 403);
        assert_eq!(get(&running, "/v2/manage/namespaces/open/repos/app").await.status, 403);
    }

    #[tokio::test]
    async fn ties_can_change_places_between_requests() {
        let running = start(0).await;
        for namespace in ["a", "b", "c"] {
            running.handle.insert(Repository::new(namespace, "same"));
            running.handle.insert(Repository::new(namespace, format!("own-{namespace}")));
        }
        running.handle.configure(|options| options.ties = Ties::Alternating);
        let query = "offset=0&limit=9&order_column=name&order_type=asc";
        let (first, second) = (list(&running, query).await, list(&running, query).await);
        assert_eq!(first.column("name"), second.column("name"));
        assert_eq!(first.column("namespace"), ["a", "b", "c", "a", "b", "c"]);
        assert_eq!(second.column("namespace"), ["a", "b", "c", "c", "b", "a"]);
    }

    #[tokio::test]
    async fn paths_and_methods_that_do_not_exist_are_the_gateways_business() {
        let running = start(1).await;
        for (method, target) in [
            ("GET", "/nothing"),
            ("GET", "/v2/manage/repos/"),
            ("POST", "/v2/manage/repos"),
            ("DELETE", "/v2/manage/namespaces"),
        ] {
            // Before anybody asks who is calling.
            let reply = ask(&running, method, target, &[], "").await;
            assert_eq!((reply.status, &reply.json()["error_code"]), (404, &Value::from("APIGW.0101")), "{target}");
            assert_eq!(reply.json()["request_id"], reply.header("x-request-id").unwrap());
        }
    }

    #[tokio::test]
    async fn the_last_page_downwards_holds_the_first_row() {
        let simulator = Simulator::new(Options { repositories: 20_000, ..Options::default() });
        let (total, first) = simulator.with_world(|world| {
            let order = SortOrder { column: Column::Name, descending: true };
            let page = PageRange { offset: 19_999, limit: 1_000, announced: true };
            let (slots, total) = select(world, &Options::default(), &Filter::default(), order, page, Ties::Stable);
            (total, world.row(slots[0]).name.clone())
        });
        assert_eq!((total, &*first), (20_000, &*simulator.repositories()[0].name));
    }

    #[tokio::test]
    async fn one_connection_serves_many_requests() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let running = start(3).await;
        let mut stream = tokio::net::TcpStream::connect(running.addr()).await.unwrap();
        let request = format!("GET /v2/manage/repos HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {DEMO_TOKEN}\r\n");
        // Pipelined: the second is there before the first is answered.
        stream.write_all(format!("{request}\r\n{request}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut both = String::new();
        stream.read_to_string(&mut both).await.unwrap();
        assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2);
        assert_eq!((running.handle.connections(), running.handle.total()), (1, 2));
    }
}
