//! The regions of Huawei Cloud with an SWR endpoint of the usual form.
//!
//! Source: the region file of the vendor's SDK for Python, 3.1.219.

/// The one region with a domain of its own.
const EUROPE: &str = "eu-west-101";

/// The known regions in alphabetical order.
const KNOWN: &str = "\
    ae-ad-1 af-north-1 af-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 \
    cn-east-2 cn-east-3 cn-east-4 cn-east-5 cn-north-1 cn-north-11 cn-north-12 cn-north-2 cn-north-4 \
    cn-north-9 cn-south-1 cn-south-2 cn-south-4 cn-southwest-2 cn-southwest-3 eu-west-0 eu-west-101 \
    la-north-2 la-south-2 me-east-1 my-kualalumpur-1 na-mexico-1 ru-moscow-1 ru-northwest-2 sa-brazil-1 \
    sa-peru-1 tr-west-1";

/// Regions without an IAM of their own; the global one serves them.
const WITHOUT_IAM: [&str; 7] =
    ["af-north-1", "ap-southeast-5", "cn-north-11", "cn-south-4", "cn-southwest-3", "ru-northwest-2", "sa-peru-1"];

/// Regions with an STS of their own.
const WITH_STS: &str = "\
    af-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 cn-east-3 cn-north-4 cn-south-1 \
    cn-southwest-2 la-south-2 sa-brazil-1 tr-west-1";

/// A cloud of a partner, with an API like Huawei Cloud's at addresses of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its name.
    pub cloud: &'static str,
    region: &'static str,
    /// What follows service and region in its addresses; `None` if that is not known for certain.
    domain: Option<&'static str>,
}

/// Regions of partner clouds. For those that the SDK knows too, its addresses lead to Huawei Cloud, where customers of the
/// partner are unknown.
const PARTNERS: [Partner; 6] = [
    Partner { cloud: "G42 Cloud", region: "ae-ad-1", domain: None },
    Partner { cloud: "Flexible Engine", region: "eu-west-0", domain: Some("prod-cloud-ocb.orange-business.com") },
    Partner { cloud: "TM Cloud", region: "my-kualalumpur-1", domain: None },
    Partner { cloud: "Cloud.ru", region: "ru-moscow-1", domain: Some("hc.sbercloud.ru") },
    Partner { cloud: "Open Telekom Cloud", region: "eu-de", domain: Some("otc.t-systems.com") },
    Partner { cloud: "Open Telekom Cloud", region: "eu-nl", domain: Some("otc.t-systems.com") },
];

impl Partner {
    /// The addresses of SWR and IAM, as words that follow those for the settings; empty if they are not known.
    pub fn addresses(&self) -> String {
        let Some(domain) = self.domain else { return String::new() };
        let region = self.region;
        format!(" (https://swr-api.{region}.{domain} and https://iam.{region}.{domain})")
    }
}

/// The partner cloud with a region of this name.
pub fn partner(region: &str) -> Option<&'static Partner> {
    PARTNERS.iter().find(|partner| partner.region == region)
}

/// The known regions.
pub fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.split(' ')
}

/// The IAM endpoint of a known region.
pub fn iam_endpoint(region: &str) -> Option<String> {
    Some(match known().find(|known| *known == region)? {
        EUROPE => format!("https://iam.{EUROPE}.myhuaweicloud.eu"),
        known if WITHOUT_IAM.contains(&known) => "https://iam.myhuaweicloud.com".to_owned(),
        known => format!("https://iam.{known}.myhuaweicloud.com"),
    })
}

/// The STS endpoint of a region that has one.
pub fn sts_endpoint(region: &str) -> Option<String> {
    WITH_STS.split(' ').any(|known| known == region).then(|| format!("https://sts.{region}.myhuaweicloud.com"))
}

/// The SWR endpoint of a known region.
pub fn endpoint(region: &str) -> Option<String> {
    let known = known().find(|known| *known == region)?;
    let domain = if known == EUROPE { "myhuaweicloud.eu" } else { "myhuaweicloud.com" };
    Some(format!("https://swr-api.{known}.{domain}"))
}
