//! What help says besides the flags: the short form of `-h`, the notes of `--help`, and the sections of manual pages.

use super::flags::{self, Flag};
use std::fmt::Write;

/// The flags in `-h`, each with a text that fits into a line.
const COMMON: [(&str, &str); 12] = [
    ("config.file", "settings of several accounts"),
    ("swr.region", "region, such as cn-north-4"),
    ("swr.endpoint", "URL of the API, for other clouds"),
    ("swr.namespace", "list only this organization; can be repeated"),
    ("credentials.access-key-file", "access key; or set SWR_EXPORTER_ACCESS_KEY"),
    ("credentials.secret-key-file", "secret key; or set SWR_EXPORTER_SECRET_KEY"),
    ("collector.tags", "read tags: stored bytes, age of tags"),
    ("cache.window", "how long data is served without a refresh"),
    ("cache.directory", "keeps data for a restart"),
    ("web.listen-address", "address to listen on"),
    ("web.config.file", "TLS and passwords"),
    ("log.level", "debug, info, warn or error"),
];

/// The end of `-h` of the commands that take the flags of `serve`.
pub(super) fn short() -> String {
    let mut text = "Common flags (--help lists all):\n".to_owned();
    for (name, about) in COMMON {
        let Flag { value, default, .. } = flags::flag(name);
        let default = if matches!(*default, "none" | "all" | "off") { String::new() } else { format!(" [{default}]") };
        let _ = writeln!(text, "  {:<34}  {about}{default}", format!("--{name} {value}").trim_end());
    }
    text + "\nExamples:\n  swr-exporter demo\n  swr-exporter check --swr.region cn-north-4\n  swr-exporter --config.file accounts.yml"
}

/// The end of `--help` of these commands.
pub(super) const LONG: &str = "A flag overrides its environment variable, and both override the configuration file.
Secrets are never flags: they come from files, or from the variables named above.

Exit codes: 0 success; 1 failure, or a check failed; 2 invalid flags or settings.";

/// What manual pages have after the flags, as roff.
pub const MANUAL: &str = r#".SH EXAMPLES
Try it without an account:
.PP
.EX
swr\-exporter demo
.EE
.PP
Validate settings and credentials before you use them:
.PP
.EX
swr\-exporter check \-\-swr.region cn\-north\-4 \e
    \-\-credentials.access\-key\-file /etc/swr\-exporter/access\-key \e
    \-\-credentials.secret\-key\-file /etc/swr\-exporter/secret\-key
.EE
.PP
Export several accounts:
.PP
.EX
swr\-exporter \-\-config.file /etc/swr\-exporter/accounts.yml
.EE
.PP
Write the metrics of one of them for the textfile collector of node_exporter:
.PP
.EX
swr\-exporter scrape \-\-config.file /etc/swr\-exporter/accounts.yml \-\-account production \e
    \-\-output /var/lib/prometheus/node\-exporter/swr.prom
.EE
.SH FILES
.TP
.I ~/.huaweicloud/credentials
Profile of the SDK, one of the sources of credentials.
.TP
.I ~/.huaweicloud/regions.yaml
Regions that are described to the SDK.
.TP
.I /etc/default/swr\-exporter
Environment variables of the systemd service.
.SH ENVIRONMENT
.TP
.B SWR_EXPORTER_...
Every flag of \fBserve\fR: its name in capitals, with _ for . and \-. For example, \fB\-\-cache.window\fR is
\fBSWR_EXPORTER_CACHE_WINDOW\fR.
.TP
.BR SWR_EXPORTER_TOKEN ", " SWR_EXPORTER_ACCESS_KEY ", " SWR_EXPORTER_SECRET_KEY ", " SWR_EXPORTER_SECURITY_TOKEN ", " SWR_EXPORTER_PASSWORD
Secrets, which have no flags.
.TP
.BR HUAWEICLOUD_SDK_... ", " HUAWEICLOUD_OIDC_... ", " HC_CONTAINER_...
Credentials as the SDK and CCE set them.
.TP
.BR HTTPS_PROXY ", " HTTP_PROXY ", " ALL_PROXY ", " NO_PROXY
Proxies for API calls.
.TP
.B NO_COLOR
No colours in the report of \fBcheck\fR.
.SH EXIT STATUS
.TP
.B 0
Success; of \fBcheck\fR: all checks passed.
.TP
.B 1
Failure; of \fBcheck\fR: a check failed; of \fBscrape\fR and \fBreport\fR: something could not be read or written.
.TP
.B 2
Invalid flags or settings.
"#;
