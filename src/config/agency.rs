//! An agency of another account, which is taken on with whatever credential there is.

use super::Problems;
use super::settings::Settings;
use crate::auth::agency::{Agency, AgencyAccount, AgencyProvider};
use crate::auth::{CredentialProvider, ResolvedProvider};
use std::sync::Arc;

/// Whether the settings name one.
pub(super) fn is_wanted(settings: &Settings<'_>) -> bool {
    settings.text("credentials.agency-name").is_some()
}

/// The provider of the agency's keys, or the base itself if the settings name no agency. `iam` is the address of IAM; the inner
/// `None` if it is not known, the outer one if it is wrong, which is reported.
pub(super) fn taken_on(
    settings: &Settings<'_>,
    base: Option<ResolvedProvider>,
    iam: Option<Option<String>>,
    problems: &mut Problems,
) -> Option<ResolvedProvider> {
    let parts = ["credentials.agency-name", "credentials.agency-domain-name", "credentials.agency-domain-id"];
    let [name, domain_name, domain_id] = parts.map(|part| settings.text(part));
    let account = match (&name, domain_name, domain_id) {
        (None, None, None) => return base,
        (None, ..) => {
            problems.add(settings.how_to_give(
                "the account of an agency is given and the agency is not: set --credentials.agency-name",
                "the account of an agency is given and the agency is not: set `agency_name` below `credentials`",
            ));
            return None;
        }
        (_, Some(name), None) => AgencyAccount::Name(name),
        (_, None, Some(id)) => AgencyAccount::Id(id),
        (_, one, _) => {
            let problem = if one.is_some() { "two accounts" } else { "no account" };
            problems.add(settings.how_to_give(
                &format!(
                    "the agency has {problem}: set --credentials.agency-domain-name or --credentials.agency-domain-id"
                ),
                &format!(
                    "the agency has {problem}: set `agency_domain_name` or `agency_domain_id` below `credentials`"
                ),
            ));
            return None;
        }
    };
    let Some(endpoint) = iam? else {
        let way = settings.how_to_give("--swr.iam-endpoint", "`iam_endpoint`");
        problems.add(format!(
            "the agency needs the address of IAM, which is not known for this region or endpoint: set {way}"
        ));
        return None;
    };
    let ResolvedProvider { source, passed_over } = base?;
    let base_name = source.name();
    let agency = Agency { endpoint, name: name?, account };
    let source = CredentialProvider::Agency(AgencyProvider { base: Arc::new(source), base_name, agency });
    Some(ResolvedProvider { source, passed_over })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{args, table};
    use super::super::{Config, Problems, resolve};
    use crate::auth::CredentialProvider;

    const KEY: [(&str, &str); 2] = [("SWR_EXPORTER_ACCESS_KEY", "AK"), ("SWR_EXPORTER_SECRET_KEY", "sk")];

    fn of(line: &str) -> Result<Config, Problems> {
        resolve(&args(line), &table(&KEY))
    }

    #[test]
    fn an_agency_has_a_name_and_one_account() {
        let config =
            of("--swr.region cn-north-4 --credentials.agency-name a --credentials.agency-domain-id 0123").unwrap();
        let credentials = &config.accounts[0].credentials;
        assert_eq!(credentials.to_string().split(';').next(), Some("the agency a of domain_id 0123, by access-key"));
        let CredentialProvider::Agency(of_account) = &credentials.source else { panic!("an agency") };
        assert_eq!(of_account.agency.endpoint, "https://iam.cn-north-4.myhuaweicloud.com");

        let account = "--credentials.agency-domain-name b";
        let of_other_cloud = "--swr.endpoint https://swr-api.example.com --swr.region cn-north-4";
        for (line, problem) in [
            (format!("--swr.region cn-north-4 {account}"), "the agency is not: set --credentials.agency-name"),
            ("--swr.region cn-north-4 --credentials.agency-name a".to_owned(), "the agency has no account: set"),
            (
                format!(
                    "--swr.region cn-north-4 --credentials.agency-name a {account} --credentials.agency-domain-id c"
                ),
                "the agency has two accounts: set",
            ),
            (format!("{of_other_cloud} --credentials.agency-name a {account}"), "the agency needs the address of IAM"),
        ] {
            let said = of(&line).unwrap_err();
            assert!(said.list().len() == 1 && said.list()[0].contains(problem), "{line}: {said}");
        }
    }

    #[test]
    fn the_agency_decides_whose_data_it_is_and_not_the_key() {
        let origins = |key: &str, agency: &str| {
            let line =
                format!("--swr.region cn-north-4 --credentials.agency-name {agency} --credentials.agency-domain-id c");
            let config = resolve(&args(&line), &table(&[("SWR_EXPORTER_ACCESS_KEY", key), KEY[1]])).unwrap();
            config.accounts[0].origins.snapshot
        };
        assert_eq!(origins("AK1", "a"), origins("AK2", "a"));
        assert_ne!(origins("AK1", "a"), origins("AK1", "b"));
    }
}
