//! Regions defined for the vendor's SDK, in an environment variable or in `regions.yaml`.
//!
//! `HUAWEICLOUD_SDK_REGION_SWR_<REGION>` comes before the file named by `HUAWEICLOUD_SDK_REGIONS_FILE`, by default
//! `~/.huaweicloud/regions.yaml`, and both before the built-in regions. Of several addresses the first is used; there is no
//! fail-over. Source: README of the vendor's SDK for Python, 3.3.2.

use super::Problems;
use super::credentials::checked;
use super::settings::Settings;
use super::yaml::{self, Node, Value};
use crate::transport::Endpoint;
use std::path::{Path, PathBuf};

/// The name of the service in the file, in upper or lower case.
const SERVICE: &str = "SWR";

/// The endpoint of a region, if it is defined; the outer `None` if the definition is wrong.
pub(super) fn endpoint(settings: &Settings<'_>, region: &str, problems: &mut Problems) -> Option<Option<Endpoint>> {
    let variable = format!("HUAWEICLOUD_SDK_REGION_{SERVICE}_{}", region.to_ascii_uppercase().replace('-', "_"));
    if let Some(addresses) = settings.variable(&variable) {
        let first = addresses.split(',').next().unwrap_or_default();
        return checked(&variable, first.trim(), "swr-api", problems).map(Some);
    }
    let named = settings.variable("HUAWEICLOUD_SDK_REGIONS_FILE").map(PathBuf::from);
    let usual = || Some(PathBuf::from(settings.variable("HOME")?).join(".huaweicloud/regions.yaml"));
    let Some(path) = named.or_else(|| usual().filter(|path| path.is_file())) else { return Some(None) };
    let file = path.display().to_string();
    match in_file(&path, region) {
        Ok(None) => Some(None),
        Ok(Some((line, address))) => checked(&format!("{file}:{line}"), &address, "swr-api", problems).map(Some),
        Err(problem) => {
            problems.add(format!("{file}{problem}"));
            None
        }
    }
}

/// The region's first address with its line. A problem begins with what follows the file's name in the message.
fn in_file(path: &Path, region: &str) -> Result<Option<(usize, String)>, String> {
    let text = yaml::load(path).map_err(|problem| format!(": {problem}"))?;
    let root = yaml::parse(&text).map_err(|(line, problem)| format!(":{line}: {problem}"))?;
    let odd = |node: &Node, wanted: &str| format!(":{}: there must be {wanted}, not {}", node.line, node.value.kind());
    let services = match &root.value {
        Value::Map(services) => services,
        Value::Nothing => return Ok(None),
        _ => return Err(odd(&root, "a mapping of services")),
    };
    let mut all = Vec::new();
    // The name may be there in upper and in lower case.
    for (_, regions) in services.iter().filter(|(key, _)| key.text.eq_ignore_ascii_case(SERVICE)) {
        let Value::List(regions) = &regions.value else { return Err(odd(regions, "a list of regions")) };
        all.extend(regions);
    }
    for node in all {
        let Value::Map(entries) = &node.value else { return Err(odd(node, "a region with id and endpoint")) };
        let entry = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
        if !matches!(entry("id"), Some(Node { value: Value::Text(id), .. }) if id == region) {
            continue;
        }
        // `endpoints` comes first, as in the SDK.
        let several = entry("endpoints").and_then(|node| match &node.value {
            Value::List(several) => several.first(),
            _ => None,
        });
        let address = several.or_else(|| entry("endpoint"));
        return match address {
            Some(Node { line, value: Value::Text(text) }) => Ok(Some((*line, text.clone()))),
            _ => Err(format!(":{}: region `{region}` without endpoint", node.line)),
        };
    }
    Ok(None)
}
