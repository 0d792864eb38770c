//! A part of the overview: instances of the Enterprise Edition. It is folded, as most accounts have none.

use crate::panel::{Kind, Panel, folded, panel};

const OFF: &str = "collector enterprise is off, or there is no instance";

pub fn panels() -> Vec<Panel> {
    let info = "each(swr_instance_info)";
    let state = format!("({info} * on (instance_id) group_left (status) each(swr_instance_status))");
    let of_instance = |number: &str| {
        format!(
            "max by (instance_id, name, spec, version, status, $apart) ({number} * on (instance_id) group_left (name, spec, version, status) {state})"
        )
    };
    let named = |number: &str| format!("{number} * on (instance_id) group_left (name) {info}");
    let of_namespace = |number: &str| {
        format!(
            "sum by (namespace, name, $apart) ({}) and topk(20, sum by (namespace, name, $apart) ({}))",
            named(number),
            named("each(swr_instance_repository_tags)")
        )
    };
    let of_repository = |number: &str| {
        format!(
            "max by (namespace, repository, name, $apart) ({}) and topk(20, max by (namespace, repository, name, $apart) ({}))",
            named(number),
            named("each(swr_instance_repository_tags)")
        )
    };
    vec![
        folded("Enterprise Edition"),
        panel(Kind::Stat, "Instances", (3, 4))
            .about(
                "Instances of the project. Needs the collector enterprise, as does all of this row.",
                "collector enterprise is off",
            )
            .query("sum(each(swr_instances))", ""),
        panel(Kind::Table, "Instances by name", (21, 4))
            .about("Edition, version, state and contents of each instance, and when it expires.", OFF)
            .column(&of_instance("each(swr_instance_storage_bytes)"), "Storage", "bytes")
            .column(&of_instance("each(swr_instance_repositories)"), "Repositories", "short")
            .column(&of_instance("(each(swr_instance_expiry_timestamp_seconds) - time())"), "Expires in", "s"),
        panel(Kind::Bars, "Quotas of instances", (12, 8))
            .about("Used share of the 20 fullest quotas. Unused quotas are left out.", OFF)
            .unit("percentunit")
            .yellow_and_red_from(0.75, 0.9)
            .query(
                &format!(
                    "topk(20, {})",
                    named("(each(swr_instance_quota_used) / (each(swr_instance_quota_limit) > 0) > 0)")
                ),
                "{{name}}: {{quota}}",
            ),
        panel(Kind::Lines, "Storage by instance", (12, 8))
            .about("Storage used by each instance.", OFF)
            .unit("bytes")
            .query(&named("each(swr_instance_storage_bytes)"), "{{name}}"),
        panel(Kind::Table, "Organizations of instances", (24, 8))
            .about("The 20 organizations with the most tags. The API reports sizes of whole instances only.", OFF)
            .column(&of_namespace("each(swr_instance_repository_tags)"), "Tags", "short")
            .column(&of_namespace("each(swr_instance_repository_downloads)"), "Downloads", "short"),
        panel(Kind::Table, "Repositories of instances", (24, 8))
            .about("The 20 repositories with the most tags.", OFF)
            .column(&of_repository("each(swr_instance_repository_tags)"), "Tags", "short")
            .column(&of_repository("each(swr_instance_repository_artifacts)"), "Artifacts", "short")
            .column(&of_repository("each(swr_instance_repository_downloads)"), "Downloads", "short"),
    ]
}
