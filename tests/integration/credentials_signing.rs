//! Signatures against an implementation that shares nothing with ours: the simulator's.

use crate::support::{client, simulator};
use futures_util::future::join_all;
use swr_exporter::auth::{AccessKey, sign};
use swr_exporter::base::secret::Secret;
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_SECRET_KEY};

/// A text of letters, signs that have a meaning in addresses, and letters of other scripts.
fn text(random: &mut fastrand::Rng, without: &str) -> String {
    const SIGNS: &str = "abcXYZ019-._~ +%&=?#$,;:@!*'()[]{}|\\^`\"<>/äß组织镜像é\u{1F600}";
    let signs: Vec<char> = SIGNS.chars().filter(|sign| !without.contains(*sign)).collect();
    (0..random.usize(0..12)).map(|_| signs[random.usize(..signs.len())]).collect()
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn ten_thousand_random_requests_are_signed_as_another_implementation_wants_them() {
    let upstream = simulator(10, 2).await;
    upstream.handle.configure(|options| options.key_lockout.after = usize::MAX);
    let (url, client) = (upstream.url(), client());
    let workers = (0..4_u64).map(|seed| {
        let (url, client) = (url.clone(), client.clone());
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..2500 {
                // A name is one segment, and one that begins with a letter is nothing that an HTTP client shortens.
                let (namespace, name) = (text(&mut random, "/"), text(&mut random, "/"));
                let path = match random.bool() {
                    true => "/v2/manage/repos".to_owned(),
                    false => format!("/v2/manage/namespaces/n{}/repos/r{}", encoded(&namespace), encoded(&name)),
                };
                let pairs: Vec<(String, String)> = (0..random.usize(0..5))
                    .map(|at| (format!("k{at}{}", text(&mut random, "")), text(&mut random, "")))
                    .collect();
                let query: Vec<(&str, &str)> =
                    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
                let host = url.strip_prefix("http://").unwrap();
                let signed = [("content-type", "application/json"), ("host", host), ("x-sdk-date", date.as_str())];
                let key = AccessKey {
                    id: DEMO_ACCESS_KEY.to_owned(),
                    secret: Secret::new(DEMO_SECRET_KEY.to_owned()),
                    security_token: None,
                    project_id: None,
                };
                let request = sign::Request { method: "GET", path: &path, query: &query, headers: &signed, body: &[] };
                let answer = client
                    .get(format!("{url}{path}?{}", sign::canonical_query(&query)))
                    .header("content-type", "application/json")
                    .header("x-sdk-date", &date)
                    .header("authorization", sign::authorization(&request, &key))
                    .send()
                    .await
                    .unwrap();
                assert_ne!(answer.status(), 401, "{path} {query:?}");
            }
        }
    });
    join_all(workers).await;
    assert_eq!((upstream.handle.total(), upstream.handle.failed_signatures()), (10_000, 0));
}
