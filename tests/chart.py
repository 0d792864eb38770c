"""Checks the Helm chart: run by tests/chart.

Each ci/*-values.yaml is linted and rendered by Helm 3 and Helm 4 for the oldest Kubernetes that the chart is for and for the
latest one known. What comes out is read by a strict YAML parser, held to the schemas of Kubernetes and of the Prometheus
operator, and to what the values ask for. Values that contradict each other are refused. The package holds what it needs.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jsonschema
import kubernetes_validate
import yaml

CHART = pathlib.Path("deploy/helm/swr-exporter")
MADE = [CHART / "README.md", CHART / "values.schema.json"]
OLDEST = re.search(r'kubeVersion: ">=([\d.]+)-0"', (CHART / "Chart.yaml").read_text())[1]
VERSIONS = [OLDEST, "1.37.0"]
HELMS = ["helm3", "helm4"]
# The kinds of the operator's version 0.93, without descriptions.
OPERATOR = json.loads(pathlib.Path("tests/fixtures/monitoring.coreos.com.json").read_text())
LONGEST = "a-release-name-as-long-as-helm-allows".ljust(53, "x")
WORKLOADS = ["Deployment", "StatefulSet"]


class StrictLoader(yaml.CSafeLoader):
    """Refuses keys that stand twice in a mapping."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"line {node.start_mark.line + 1}: twice in a mapping: {twice}"
        return super().construct_mapping(node, deep)


StrictLoader.add_constructor("tag:yaml.org,2002:map", StrictLoader.construct_mapping)


def parse(text):
    return [document for document in yaml.load_all(text, StrictLoader) if document is not None]


def check_parser():
    try:
        parse("a: {b: 1, c: 2, b: 3}")
    except AssertionError as error:
        assert "{'b'}" in str(error)
    else:
        raise AssertionError("the parser is not strict")


def run(*command):
    """What the command says, without its notes that dashboards/ is a link."""
    output = subprocess.run(command, capture_output=True, text=True)
    assert output.returncode == 0, f"{' '.join(map(str, command))}\n{output.stdout}{output.stderr}"
    return output.stdout


class Rendered:
    """The objects of a release by kind."""

    def __init__(self, text):
        self.objects = parse(text)

    def all(self, kind):
        return [rendered for rendered in self.objects if rendered["kind"] == kind]

    def one(self, kind):
        [rendered] = self.all(kind)
        return rendered

    @property
    def pod(self):
        [workload] = [rendered for rendered in self.objects if rendered["kind"] in WORKLOADS]
        return workload["spec"]["template"]

    @property
    def container(self):
        return self.pod["spec"]["containers"][0]

    @property
    def rules(self):
        return [rule for group in self.one("PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


def labels_in(value):
    """Every map of labels in an object, and every selector."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("labels", "matchLabels") and isinstance(inner, dict):
                yield inner
            else:
                yield from labels_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from labels_in(inner)


def check_objects(rendered, version):
    """What holds for every release."""
    names = set()
    for each in rendered.objects:
        kind, metadata = each["kind"], each["metadata"]
        name = (kind, metadata.get("namespace"), metadata["name"])
        assert name not in names, f"{name} is rendered twice"
        names.add(name)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"]) or kind == "ConfigMap", name
        if kind in OPERATOR:
            jsonschema.validate(each, OPERATOR[kind])
        else:
            kubernetes_validate.validate(each, version, strict=True)
        for labels in labels_in(each) if kind != "PrometheusRule" else [metadata["labels"]]:
            for value in labels.values():
                assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value), f"{name}: label {value}"
    # Whoever selects pods selects these.
    pod = rendered.pod["metadata"]["labels"].items()
    for kind in ["Service", "ServiceMonitor", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", *WORKLOADS]:
        for each in rendered.all(kind):
            selector = each["spec"].get("selector") or each["spec"]["podSelector"]
            assert selector.get("matchLabels", selector).items() <= pod, f"{kind} does not select the pods"
    mounts = {mount["name"] for mount in rendered.container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for each in rendered.all("StatefulSet") for claim in each["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"] for volume in rendered.pod["spec"].get("volumes", [])}
    assert mounts == claims | volumes, f"{mounts} are mounted, {claims | volumes} are there"


def bare(rendered):
    assert {each["kind"] for each in rendered.objects} == {"Deployment", "Service", "ServiceAccount"}
    container, pod = rendered.container, rendered.pod["spec"]
    assert "--swr.region=cn-north-4" in container["args"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] and container["image"] == "swr-exporter:0.1.0"
    assert container["livenessProbe"] == {"httpGet": {"path": "/-/healthy", "port": "http"}, "timeoutSeconds": 5}


def one_account(rendered):
    arguments = rendered.container["args"]
    for needed in ["--collector.tags", "--collector.details", "--no-collector.account", "--cache.window=10m", "--cache.max-age=2h",
                   "--log.level=debug", "--log.format=json", "--swr.namespace=team",
                   "--credentials.access-key-file=/run/secrets/swr-exporter/access-key"]:
        assert arguments.count(needed) == 1, f"{needed} is not in {arguments}"
    service = rendered.one("Service")["metadata"]["labels"]
    assert (service["app.kubernetes.io/name"], service["app.kubernetes.io/managed-by"]) == ("swr-exporter", "Helm"), "its own labels win"
    assert service["team"] == "service" and rendered.pod["metadata"]["labels"]["team"] == "another", "the more special wins"
    monitor = rendered.one("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus" and monitor["spec"]["sampleLimit"] == 100000
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "scheme": "http", "honorLabels": True, "interval": "2m", "scrapeTimeout": "1m"}
    [address] = [rule["labels"] for rule in rendered.rules if rule.get("record") == "swr:address"]
    assert address == {"runbooks": "https://git.example/swr-exporter/docs/alerts.md", "grafana": "http://localhost:3000"}
    egress = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53, 5353, 5353, 3128], "no metadata service with a key"


def several_accounts(rendered):
    config = parse(rendered.one("ConfigMap")["data"]["accounts.yml"])[0]
    assert config["accounts"]["production"]["project_id"] == "0123456789"
    assert "--config.file=/etc/swr-exporter/accounts.yml" in rendered.container["args"]
    assert rendered.container["readinessProbe"]["exec"]["command"] == ["/swr-exporter", "healthcheck"], "the kubelet has no password"
    assert rendered.pod["spec"]["serviceAccountName"] == "swr-exporter" and not rendered.all("ServiceAccount")
    monitor = rendered.one("ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring" and monitor["spec"]["namespaceSelector"] == {"matchNames": ["default"]}
    exporter, *accounts = monitor["spec"]["endpoints"]
    relabelings = [{"targetLabel": "cluster", "replacement": "east"}, {"targetLabel": "zone", "replacement": "a"}]
    assert exporter["path"] == "/metrics" and exporter["relabelings"] == relabelings
    assert [endpoint["params"] for endpoint in accounts] == [{"account": ["007"]}, {"account": ["production"]}]
    for endpoint in accounts:
        [account] = endpoint["params"]["account"]
        assert endpoint["relabelings"] == [{"targetLabel": "account", "replacement": account}, *relabelings]
        assert (endpoint["scheme"], endpoint["honorLabels"], endpoint["path"]) == ("https", True, "/probe")
        assert endpoint["proxyUrl"] and endpoint["metricRelabelings"] and endpoint["tlsConfig"] and endpoint["basicAuth"]
    egress = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in egress if "to" in rule] == ["169.254.0.0/16"], "an account may need it"


def openshift(rendered):
    context = rendered.pod["spec"]["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, context


def without_security_context(rendered):
    assert "securityContext" not in rendered.pod["spec"]
    assert not {"securityContext", "livenessProbe", "resources"} & rendered.container.keys()
    assert "readinessProbe" in rendered.container


def host_network(rendered):
    pod, container = rendered.pod["spec"], rendered.container
    assert pod["hostNetwork"] is True and pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert "--web.listen-address=:10180" in container["args"] and container["ports"][0]["containerPort"] == 10180
    assert container["startupProbe"] == {"failureThreshold": 30, "httpGet": {"path": "/-/healthy", "port": "http"}}
    policy = rendered.one("NetworkPolicy")["spec"]
    assert policy["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 10180}]
    [endpoint] = rendered.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["honorLabels"]) == ("http", "/metrics", True)


def long_name(rendered):
    assert {each["metadata"]["namespace"] for each in rendered.objects} == {"registry"}
    assert len(rendered.one("Service")["metadata"]["name"]) == 63
    stateful = rendered.one("StatefulSet")
    # The label controller-revision-hash is this name and eleven characters.
    assert len(stateful["metadata"]["name"]) <= 52
    assert stateful["spec"]["serviceName"] == rendered.one("Service")["metadata"]["name"]
    assert stateful["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 1}
    [claim] = stateful["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "ssd" and claim["spec"]["resources"]["requests"] == {"storage": "2Gi"}
    assert len(rendered.all("ConfigMap")) == 4


def existing_claim(rendered):
    [state] = [volume for volume in rendered.pod["spec"]["volumes"] if volume["name"] == "state"]
    assert state["persistentVolumeClaim"] == {"claimName": "swr-exporter"}
    assert rendered.container["envFrom"] == [{"secretRef": {"name": "swr-exporter-environment"}}]


def dashboards(rendered):
    shipped = {path.name: json.loads(path.read_text()) for path in pathlib.Path("dashboards").glob("*.json")}
    assert len(shipped) >= 4
    found = {}
    for each in rendered.all("ConfigMap"):
        metadata = each["metadata"]
        assert metadata["namespace"] == "grafana" and metadata["labels"]["dashboards"] == "yes"
        assert "grafana_dashboard" not in metadata["labels"]
        assert metadata["annotations"] == {"example.com/owner": "platform", "grafana_folder": "Registry"}
        # What is applied on the client's side is kept in an annotation, which has a limit.
        assert all(len(text) < 250_000 for text in each["data"].values())
        found |= {name: json.loads(text) for name, text in each["data"].items()}
    assert found == shipped


def thresholds(rendered):
    values = {}
    for rule in rendered.rules:
        if rule.get("record", "").startswith("swr:threshold:"):
            values.setdefault(rule["record"].removeprefix("swr:threshold:"), []).append(rule["expr"])
    assert values["repository_growth_bytes"] == ["vector(50 * 2^30)", "vector(200 * 2^30)"]
    assert values["repository_growth_ratio"] == ["vector(0.25)"] and values["namespace_limit_bytes"] == ["vector(2 * 2^40)"]
    assert [float(re.fullmatch(r"vector\((.*)\)", value)[1]) for value in values["new_repository_bytes"]] == [53687091200.0]
    assert values["shrink_ratio"] == ["vector(0.5)"], "the others stay"
    shipped = yaml.safe_load(pathlib.Path("dashboards/rules/alerts.yml").read_text())
    shipped = {rule["alert"] for group in shipped["groups"] for rule in group["rules"]}
    alerts = [rule for rule in rendered.rules if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == shipped - {"SwrTagsPending", "SwrGrowthWithoutDownloads"}
    assert all(rule["labels"]["team"] == "platform" and rule["labels"]["severity"] != "nothing" for rule in alerts)
    assert not any("team" in rule.get("labels", {}) for rule in rendered.rules if "record" in rule), "rules would join no more"
    assert rendered.one("PrometheusRule")["metadata"]["namespace"] == "monitoring"
    if shutil.which("promtool"):
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.dump({"groups": rendered.one("PrometheusRule")["spec"]["groups"]}, file)
            run("promtool", "check", "rules", file.name)


def probe(rendered):
    spec = rendered.one("Probe")["spec"]
    assert spec["prober"] == {"url": "example-swr-exporter.default.svc:10179", "path": "/exporters/swr/probe", "scheme": "http"}
    assert spec["targets"]["staticConfig"]["static"] == ["production", "staging"]
    account, namespace, cluster = spec["targets"]["staticConfig"]["relabelingConfigs"]
    assert account == {"sourceLabels": ["__param_target"], "targetLabel": "account"}
    assert namespace == {"action": "labeldrop", "regex": "namespace"} and cluster["targetLabel"] == "cluster"
    assert spec["authorization"]["credentials"] == {"name": "scraper", "key": "token"}
    [endpoint] = rendered.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["path"] == "/exporters/swr/metrics" and endpoint["scheme"] == "http", "no account is scraped twice"


def everything(rendered):
    assert rendered.container["image"].startswith("mirror.example/swr-exporter:0.1.0@sha256:0123")
    [port] = rendered.one("Service")["spec"]["ports"]
    assert port["nodePort"] == 30179 and rendered.one("Service")["spec"]["clusterIP"] == "10.0.0.1"
    [rule] = rendered.one("Ingress")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert rule["http"]["paths"][0]["path"] == "/swr" and rendered.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["path"] == "/swr/metrics"
    assert "--web.external-url=https://swr.example.com/exporters/swr/" in rendered.container["args"]
    assert rule["host"] == "swr.example.com" and backend == {"name": "example-swr-exporter", "port": {"name": "http"}}
    assert rendered.one("ServiceAccount")["metadata"]["annotations"] == {"example.com/agency": "swr-reader"}
    assert rendered.container["livenessProbe"] == {"tcpSocket": {"port": "http"}, "timeoutSeconds": 5, "periodSeconds": 30}
    assert [container["name"] for container in rendered.pod["spec"]["containers"]] == ["exporter", "proxy"]
    assert rendered.pod["spec"]["dnsPolicy"] == "None" and rendered.pod["spec"]["initContainers"]
    names = [each["metadata"]["name"] for each in rendered.all("ConfigMap")]
    assert names == ["example-more", "example-swr-exporter-text"], "both kinds of text are templates"


EXPECTATIONS = [bare, one_account, several_accounts, openshift, without_security_context, host_network, long_name,
                existing_claim, dashboards, thresholds, probe, everything]

# Values, and what is said of them.
REFUSED = [
    (["regoin=cn-north-4"], ["regoin"]),
    (["collectors={tag}"], ["collectors"]),
    (["replicas=two"], ["replicas", "string", "integer"]),
    (["service.tyyp=NodePort"], ["tyyp"]),
    (
        ["region=cn-north-4", "config.defaults.cache_window=10m", "probe.enabled=true", "serviceMonitor.enabled=true",
         "podMonitor.enabled=true", "replicas=2", "persistence.existingClaim=claim", "ingress.enabled=true",
         "prometheusRule.enabled=true", "prometheusRule.thresholds.growth=1", "prometheusRule.disabled={SwrNothing}"],
        ["`config` or `region`", "`config.accounts`", "`serviceMonitor` or `podMonitor`", "`persistence.existingClaim` is for one",
         "`ingress` needs `hosts`", "no rule reads a threshold `growth`", "no alert `SwrNothing`"],
    ),
]


def check_refusals(helm):
    for values, expected in REFUSED:
        options = [option for value in values for option in ("--set", value)]
        output = subprocess.run([helm, "template", "example", CHART, *options], capture_output=True, text=True)
        assert output.returncode != 0, f"{values} are accepted"
        for words in expected:
            assert words in output.stderr, f"{values}: {words!r} is not in\n{output.stderr}"


def check_notes():
    """What the user reads after the installation. Helm 3 shows it only where there is a cluster."""

    def notes(*values):
        options = [option for value in values for option in ("--set", value)]
        return run("helm4", "install", "example", CHART, "--dry-run=client", *options).split("NOTES:\n")[1]

    said = notes()
    assert "No account is configured" in said and "swr-exporter:0.1.0 has no registry" in said, said
    assert "port-forward service/example-swr-exporter 10179:10179" in said and "http://localhost:10179/" in said, said
    said = notes("region=cn-north-4", "image.registry=registry.example", "webConfig.existingSecret=web", "serviceMonitor.enabled=true",
                 "ingress.enabled=true", "ingress.hosts={swr.example.com}")
    assert "WARNING" not in said and "http://swr.example.com/" in said and "labels of the monitor" in said, said


def check_readme():
    """The examples of the README are values."""
    examples = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(example)
            file.flush()
            check_objects(Rendered(run("helm4", "template", "example", CHART, "--values", file.name)), VERSIONS[-1])


def check_package(folder):
    """Whoever has the package has the rules and dashboards too, and nothing that is for developers."""
    run("helm4", "package", CHART, "--destination", folder)
    [package] = pathlib.Path(folder).glob("swr-exporter-*.tgz")
    with tarfile.open(package) as package:
        files = {member.name.removeprefix("swr-exporter/") for member in package.getmembers()}
    needed = {"values.yaml", "values.schema.json", "README.md", ".helmignore"}
    needed |= {f"dashboards/rules/{name}.yml" for name in ["thresholds", "recording", "alerts"]}
    needed |= {str(path) for path in pathlib.Path("dashboards").glob("*.json")}
    needed |= {f"{path.relative_to(CHART)}" for path in [CHART / "Chart.yaml", *(CHART / "templates").iterdir()]}
    assert files - {".helmignore"} == needed - {".helmignore"}, f"missing: {needed - files}; too much: {files - needed}"


def check_made():
    before = [path.read_text() for path in MADE]
    run(sys.executable, "deploy/helm/document")
    after = [path.read_text() for path in MADE]
    if "REGENERATE" not in os.environ:
        for path, text in zip(MADE, before):
            path.write_text(text)
        assert before == after, "README.md or values.schema.json is not what values.yaml makes: REGENERATE=1 tests/chart"


def main():
    if not shutil.which("promtool"):
        print("tests/chart: promtool is missing, so it does not check the rules; tests/run installs it")
    check_parser()
    check_made()
    sets = {path.name.removesuffix("-values.yaml"): path for path in (CHART / "ci").glob("*-values.yaml")}
    assert sets.keys() == {check.__name__.replace("_", "-") for check in EXPECTATIONS}
    for check in EXPECTATIONS:
        name = check.__name__.replace("_", "-")
        for helm in HELMS:
            run(helm, "lint", "--strict", "--quiet", "--values", sets[name], CHART)
            for version in VERSIONS:
                for release in ["example", LONGEST]:
                    rendered = run(helm, "template", release, CHART, "--values", sets[name], "--kube-version", version)
                    rendered = Rendered(rendered)
                    check_objects(rendered, version)
                    if release == "example":
                        check(rendered)
        print(f"tests/chart: {name}: {len(rendered.objects)} objects")
    for helm in HELMS:
        check_refusals(helm)
    check_notes()
    for file in ["swr-exporter.yaml", "servicemonitor.yaml", "prometheusrule.yaml"]:
        for each in parse(pathlib.Path("deploy/kubernetes", file).read_text()):
            for version in VERSIONS:
                if each["kind"] in OPERATOR:
                    jsonschema.validate(each, OPERATOR[each["kind"]])
                else:
                    kubernetes_validate.validate(each, version, strict=True)
    check_readme()
    with tempfile.TemporaryDirectory() as folder:
        check_package(folder)
    print(f"tests/chart: all fit Kubernetes {' and '.join(VERSIONS)}, rendered by {' and '.join(HELMS)}")


main()
