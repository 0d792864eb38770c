//! Regions that the user of the vendor's SDK has described to it: a variable of the environment, or `regions.yaml`.
//!
//! `HUAWEICLOUD_SDK_REGION_SWR_<REGION>` comes before the file of `HUAWEICLOUD_SDK_REGIONS_FILE`, by default
//! `~/.huaweicloud/regions.yaml`, and both before the regions that the program knows. Of several addresses the first is
//! taken: there is no switching to others. Source: README of the vendor's SDK for Python, 3.3.2.

use super::Problems;
use super::settings::Settings;
use super::yaml::{self, Node, Value};
use crate::transport::Endpoint;
use std::path::{Path, PathBuf};

/// The service's name in the file, in any case.
const SERVICE: &str = "SWR";

/// The address of a region, if it is described; the outer `None` where the description is wrong.
pub(super) fn endpoint(settings: &Settings<'_>, region: &str, at: &mut Problems) -> Option<Option<Endpoint>> {
    let variable = format!("HUAWEICLOUD_SDK_REGION_{SERVICE}_{}", region.to_ascii_uppercase().replace('-', "_"));
    if let Some(addresses) = settings.variable(&variable) {
        let first = addresses.split(',').next().unwrap_or_default();
        return checked(&variable, first.trim(), at).map(Some);
    }
    let named = settings.variable("HUAWEICLOUD_SDK_REGIONS_FILE").map(PathBuf::from);
    let usual = || Some(PathBuf::from(settings.variable("HOME")?).join(".huaweicloud/regions.yaml"));
    let Some(path) = named.or_else(|| usual().filter(|path| path.is_file())) else { return Some(None) };
    let file = path.display().to_string();
    match in_file(&path, region) {
        Ok(None) => Some(None),
        Ok(Some((line, address))) => checked(&format!("{file}:{line}"), &address, at).map(Some),
        Err(problem) => {
            at.add(format!("{file}{problem}"));
            None
        }
    }
}

fn checked(place: &str, text: &str, at: &mut Problems) -> Option<Endpoint> {
    text.parse().map_err(|problem| at.add(format!("{place}: {problem}"))).ok()
}

/// The region's first address and its line. The problem comes with what stands between it and the file's name.
fn in_file(path: &Path, region: &str) -> Result<Option<(usize, String)>, String> {
    let text = yaml::load(path).map_err(|problem| format!(": {problem}"))?;
    let root = yaml::parse(&text).map_err(|(line, problem)| format!(":{line}: {problem}"))?;
    let odd = |node: &Node, wanted: &str| format!(":{}: there must be {wanted}, not {}", node.line, node.value.kind());
    let services = match &root.value {
        Value::Map(services) => services,
        Value::Nothing => return Ok(None),
        _ => return Err(odd(&root, "a mapping of services")),
    };
    let Some((_, regions)) = services.iter().find(|(key, _)| key.text.eq_ignore_ascii_case(SERVICE)) else {
        return Ok(None);
    };
    let Value::List(regions) = &regions.value else { return Err(odd(regions, "a list of regions")) };
    for node in regions {
        let Value::Map(entries) = &node.value else { return Err(odd(node, "a region with id and endpoint")) };
        let entry = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
        if !matches!(entry("id"), Some(Node { value: Value::Text(id), .. }) if id == region) {
            continue;
        }
        let address = entry("endpoint").or_else(|| match &entry("endpoints")?.value {
            Value::List(several) => several.first(),
            _ => None,
        });
        return match address {
            Some(Node { line, value: Value::Text(text) }) => Ok(Some((*line, text.clone()))),
            _ => Err(format!(":{}: the region `{region}` has no endpoint", node.line)),
        };
    }
    Ok(None)
}
