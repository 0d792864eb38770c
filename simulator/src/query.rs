//! Query parameters of the list calls: paging, sort order and filters.

use super::http::Request;
use super::options::{Offsets, Options, OverLimit, Permission};
use super::repository_row::{Column, RepositoryRow};
use super::response::{ApiError, Response};
use super::world::World;

/// The requested range of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRange {
    pub(super) offset: usize,
    pub(super) limit: usize,
    /// Whether `Content-Range` is sent: only if both parameters are given.
    pub(super) announced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortOrder {
    pub(super) column: Column,
    pub(super) descending: bool,
}

#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) namespace: Option<String>,
    /// Part of the organization's name, as the old form of the filter matches.
    namespace_part: Option<String>,
    name_part: Option<String>,
    category: Option<String>,
    is_public: Option<bool>,
}

/// Query parameters, merged with the old-style `filter`.
pub(super) struct Parameters {
    plain: Vec<(String, String)>,
    filter: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn read(request: &Request) -> Result<Self, ApiError> {
        let mut plain = request.query.clone();
        let mut filter = Vec::new();
        if let Some(text) = request.query("filter") {
            for item in text.split('|') {
                let (key, value) =
                    item.split_once("::").ok_or_else(|| ApiError::swr(400, 4_001_035, "filter error"))?;
                filter.push((key.to_owned(), value.to_owned()));
            }
            plain.retain(|(key, _)| !["namespace", "name", "category"].contains(&key.as_str()));
        }
        Ok(Self { plain, filter })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.filter.iter().chain(&self.plain).find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn page(&self, options: &Options) -> Result<PageRange, ApiError> {
        let (Some(offset), Some(limit)) = (self.get("offset"), self.get("limit")) else {
            return Ok(PageRange { offset: 0, limit: options.default_limit, announced: false });
        };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .then(|| text.parse::<usize>().ok())
                .flatten()
                .ok_or_else(|| ApiError::bad_parameter("offset or limit error"))
        };
        let (offset, limit) = (number(offset)?, number(limit)?);
        let too_many = limit > options.max_limit && options.over_limit == OverLimit::Refuse;
        if limit == 0 || too_many {
            return Err(ApiError::swr(400, 4_000_056, "page size error"));
        }
        if options.offsets == Offsets::MultiplesOfLimit && offset % limit != 0 {
            return Err(ApiError::bad_parameter("offset must be 0 or a multiple of limit"));
        }
        Ok(PageRange { offset, limit: limit.min(options.max_limit), announced: true })
    }

    pub(super) fn order(&self) -> Result<SortOrder, ApiError> {
        let (Some(column), Some(direction)) = (self.get("order_column"), self.get("order_type")) else {
            return Ok(SortOrder { column: Column::Name, descending: false });
        };
        let column = match column {
            "name" => Column::Name,
            "updated_time" => Column::UpdatedTime,
            "tag_count" => Column::TagCount,
            "namespace" => Column::Namespace,
            "is_public" => Column::IsPublic,
            _ => return Err(ApiError::swr(400, 4_001_096, "param order column error")),
        };
        Ok(SortOrder { column, descending: descends(direction)? })
    }

    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let old = |name: &str| self.filter.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let plain = |name: &str| self.plain.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if self.get("center").is_some_and(|center| center != "self") {
            return Err(ApiError::swr(400, 4_001_035, "filter error"));
        }
        let is_public = match self.get("is_public") {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(ApiError::bad_parameter("is_public error")),
        };
        // An empty value is no condition.
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

impl PageRange {
    /// Adds `Content-Range` if it is to be sent.
    pub(super) fn announce(self, response: Response, count: usize, total: usize) -> Response {
        if self.announced {
            response.with("Content-Range", format!("{}-{count}/{total}", self.offset))
        } else {
            response
        }
    }
}

/// Reads `order_type`.
pub(super) fn descends(direction: &str) -> Result<bool, ApiError> {
    match direction {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(ApiError::bad_parameter("order type error")),
    }
}

impl Filter {
    pub(super) fn admits(&self, world: &World, options: &Options, row: &RepositoryRow) -> bool {
        let namespace = world.organization_name(row);
        self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
            && self.namespace_part.as_ref().is_none_or(|part| namespace.contains(part))
            && self.name_part.as_ref().is_none_or(|part| row.name.contains(&**part))
            && self.category.as_ref().is_none_or(|wanted| wanted == world.category(row))
            && self.is_public.is_none_or(|wanted| wanted == row.is_public)
            && !options.denies(namespace)
            && match &options.permission {
                Permission::Only(open) => open.iter().any(|(other, name)| other == namespace && **name == *row.name),
                _ => true,
            }
    }

    /// The requested organization.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether it selects by organization alone.
    pub(super) fn is_simple(&self) -> bool {
        self.namespace_part.is_none() && self.name_part.is_none() && self.category.is_none() && self.is_public.is_none()
    }
}
