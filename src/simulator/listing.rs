//! `GET /v2/manage/repos`: parameters, selection, and pages written by hand.
//!
//! A page of a thousand repositories is made in about a millisecond, so that what is measured against this simulator is
//! the client.

use super::answer::{Answer, Refusal, quoted};
use super::http::Request;
use super::options::{Offsets, Options, OverLimit, Permission, Ties, UnknownNamespace};
use super::routes::Service;
use super::timestamp::write_rfc3339;
use super::world::{Column, Row, World};

/// Where images are pulled from, in `path` and `internal_path`.
pub(super) const REGISTRY: &str = "swr.cn-north-4.myhuaweicloud.com";
/// Account, in `domain_name`.
pub(super) const ACCOUNT: &str = "demo-account";

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
    /// Whether `Content-Range` is sent: only if both parameters came.
    pub(super) announced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    column: Column,
    descending: bool,
}

#[derive(Debug, Default)]
struct Filter {
    namespace: Option<String>,
    /// Part of the organisation's name; the old form of the filter is said to match so.
    namespace_part: Option<String>,
    name_part: Option<String>,
    category: Option<String>,
    is_public: Option<bool>,
}

/// Answers a listing.
pub(super) fn list(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    let options = &*service.options;
    let parameters = Parameters::read(request)?;
    let page = parameters.page(options)?;
    let order = parameters.order()?;
    let filter = parameters.filter()?;
    if options.permission == Permission::None {
        return Err(denied());
    }
    if let Some(namespace) = &filter.namespace
        && is_denied(options, namespace)
    {
        return Err(denied());
    }
    let mut world = service.world();
    if let Some(namespace) = &filter.namespace
        && options.unknown_namespace == UnknownNamespace::NotFound
        && world.organisation(namespace).is_none()
    {
        return Err(Refusal::swr(404, 4_041_061, "namespace not exist"));
    }
    let ties = if service.ordinal % 2 == 1 {
        options.ties
    } else {
        Ties::Stable
    };
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
    Ok(page.announce(Answer::json(body), slots.len(), total))
}

/// The answer to whoever may not.
pub(super) fn denied() -> Refusal {
    Refusal::swr(403, 4_030_170, "no permission to access the resource")
}

/// Whether an organisation is closed to the caller.
pub(super) fn is_denied(options: &Options, namespace: &str) -> bool {
    match &options.permission {
        Permission::All => false,
        Permission::None => true,
        Permission::Except(closed) => closed.iter().any(|name| name == namespace),
    }
}

/// Parameters, after the old-style `filter` has had its say.
pub(super) struct Parameters {
    plain: Vec<(String, String)>,
    filter: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        let mut plain = request.query.clone();
        let mut filter = Vec::new();
        if let Some(text) = request.query("filter") {
            for item in text.split('|') {
                let (key, value) = item
                    .split_once("::")
                    .ok_or_else(|| Refusal::swr(400, 4_001_035, "filter error"))?;
                filter.push((key.to_owned(), value.to_owned()));
            }
            plain.retain(|(key, _)| !["namespace", "name", "category"].contains(&key.as_str()));
        }
        Ok(Self { plain, filter })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.filter
            .iter()
            .chain(&self.plain)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn page(&self, options: &Options) -> Result<Page, Refusal> {
        let (Some(offset), Some(limit)) = (self.get("offset"), self.get("limit")) else {
            return Ok(Page {
                offset: 0,
                limit: options.default_limit,
                announced: false,
            });
        };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .then(|| text.parse::<usize>().ok())
                .flatten()
                .ok_or_else(|| bad_parameter("offset or limit error"))
        };
        let (offset, limit) = (number(offset)?, number(limit)?);
        let too_many = limit > options.max_limit && options.over_limit == OverLimit::Refuse;
        if limit == 0 || too_many {
            return Err(Refusal::swr(400, 4_000_056, "page size error"));
        }
        if options.offsets == Offsets::MultiplesOfLimit && offset % limit != 0 {
            return Err(bad_parameter("offset must be 0 or a multiple of limit"));
        }
        Ok(Page {
            offset,
            limit: limit.min(options.max_limit),
            announced: true,
        })
    }

    fn order(&self) -> Result<Order, Refusal> {
        let (Some(column), Some(direction)) = (self.get("order_column"), self.get("order_type"))
        else {
            return Ok(Order {
                column: Column::Name,
                descending: false,
            });
        };
        let column = match column {
            "name" => Column::Name,
            "updated_time" => Column::UpdatedTime,
            "tag_count" => Column::TagCount,
            "namespace" => Column::Namespace,
            "is_public" => Column::IsPublic,
            _ => return Err(Refusal::swr(400, 4_001_096, "param order column error")),
        };
        Ok(Order {
            column,
            descending: descends(direction)?,
        })
    }

    fn filter(&self) -> Result<Filter, Refusal> {
        let old = |name: &str| {
            self.filter
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let plain = |name: &str| {
            self.plain
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        if self.get("center").is_some_and(|center| center != "self") {
            return Err(Refusal::swr(400, 4_001_035, "filter error"));
        }
        let is_public = match self.get("is_public") {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(bad_parameter("is_public error")),
        };
        // An empty value is no condition, as in most services that take strings.
        let given = |value: Option<String>| value.filter(|text| !text.is_empty());
        Ok(Filter {
            namespace: given(plain("namespace")),
            namespace_part: given(old("namespace")),
            name_part: given(self.get("name").map(|name| name.replace('$', "/"))),
            category: given(self.get("category").map(str::to_owned)),
            is_public,
        })
    }
}

impl Page {
    /// Adds `Content-Range` if it is due.
    pub(super) fn announce(self, answer: Answer, count: usize, total: usize) -> Answer {
        if self.announced {
            answer.with("Content-Range", format!("{}-{count}/{total}", self.offset))
        } else {
            answer
        }
    }
}

/// Reads `order_type`.
pub(super) fn descends(direction: &str) -> Result<bool, Refusal> {
    match direction {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(bad_parameter("order type error")),
    }
}

pub(super) fn bad_parameter(message: &str) -> Refusal {
    Refusal::swr(400, 4_001_025, message)
}

impl Filter {
    fn admits(&self, world: &World, options: &Options, row: &Row) -> bool {
        let namespace = world.organisation_name(row);
        self.namespace
            .as_ref()
            .is_none_or(|wanted| wanted == namespace)
            && self
                .namespace_part
                .as_ref()
                .is_none_or(|part| namespace.contains(part))
            && self
                .name_part
                .as_ref()
                .is_none_or(|part| row.name.contains(&**part))
            && self
                .category
                .as_ref()
                .is_none_or(|wanted| wanted == world.category(row))
            && self.is_public.is_none_or(|wanted| wanted == row.is_public)
            && !is_denied(options, namespace)
    }

    /// Whether it asks for nothing but an organisation.
    fn is_simple(&self) -> bool {
        self.namespace_part.is_none()
            && self.name_part.is_none()
            && self.category.is_none()
            && self.is_public.is_none()
    }
}

/// The rows of a page, and how many match in all.
fn select(
    world: &mut World,
    options: &Options,
    filter: &Filter,
    order: Order,
    page: Page,
    ties: Ties,
) -> (Vec<u32>, usize) {
    let everyone_admitted = filter.is_simple() && options.permission == Permission::All;
    if everyone_admitted && filter.namespace.is_none() {
        world.prepare(order.column);
        let slots = world.ordered(order.column);
        return (cut(world, slots, order, page, ties), slots.len());
    }
    let mut slots = match &filter.namespace {
        Some(namespace) => world
            .organisation(namespace)
            .map_or(Vec::new(), |(_, found)| found.by_name.clone()),
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
fn cut(world: &World, slots: &[u32], order: Order, page: Page, ties: Ties) -> Vec<u32> {
    let name = |at: usize| &world.row(slots[at]).name;
    (page.offset..slots.len().min(page.offset.saturating_add(page.limit)))
        .map(|place| {
            if order.descending {
                slots.len() - 1 - place
            } else {
                place
            }
        })
        .map(|at| {
            if ties == Ties::Stable || order.column != Column::Name {
                return slots[at];
            }
            let before = (0..at)
                .rev()
                .take_while(|&other| name(other) == name(at))
                .count();
            let after = (at + 1..slots.len())
                .take_while(|&other| name(other) == name(at))
                .count();
            slots[at - before + after]
        })
        .collect()
}

/// Writes one row with all keys that are documented.
fn write_row(out: &mut Vec<u8>, world: &World, row: &Row, total: usize) {
    let namespace = world.organisation_name(row);
    string(out, "{\"name\":", &row.name);
    string(out, ",\"category\":", world.category(row));
    string(
        out,
        ",\"description\":",
        row.description.as_deref().unwrap_or_default(),
    );
    number(out, ",\"size\":", row.size);
    out.extend_from_slice(if row.is_public {
        b",\"is_public\":true"
    } else {
        b",\"is_public\":false"
    });
    number(out, ",\"num_images\":", row.tags.count());
    number(out, ",\"num_download\":", row.downloads);
    out.extend_from_slice(b",\"created_at\":\"");
    write_rfc3339(out, row.created);
    out.extend_from_slice(b"\",\"updated_at\":\"");
    write_rfc3339(out, row.updated);
    out.extend_from_slice(b"\",\"logo\":\"\",\"url\":\"\"");
    for key in [",\"path\":\"", ",\"internal_path\":\""] {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(REGISTRY.as_bytes());
        for part in [namespace, &row.name] {
            out.push(b'/');
            escaped(out, part);
        }
        out.push(b'"');
    }
    string(out, ",\"domain_name\":", ACCOUNT);
    string(out, ",\"namespace\":", namespace);
    out.extend_from_slice(b",\"tags\":[");
    let mut between = "";
    row.tags.each(row.id, |tag, _| {
        string(out, between, tag);
        between = ",";
    });
    number(out, "],\"status\":false,\"total_range\":", total as u64);
    out.push(b'}');
}

fn string(out: &mut Vec<u8>, before: &str, text: &str) {
    out.extend_from_slice(before.as_bytes());
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes the inside of a JSON string. Names rarely need escaping; the careful way is taken when one does.
fn escaped(out: &mut Vec<u8>, text: &str) {
    if text
        .bytes()
        .any(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
    {
        let quoted = quoted(text);
        out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn number(out: &mut Vec<u8>, before: &str, value: u64) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
