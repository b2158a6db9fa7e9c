"""The chart, rendered by helm where that is found: held against Kubernetes' schemas and the service's settings."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from node_fsm.core.phases import Role
from node_fsm.service import STOP_SECONDS
from node_fsm.settings.model import DatabaseSettings, Settings, load_settings
from tests.support.polling import HANGING

ROOT = Path(__file__).parents[2]
DEPLOY, CHART = ROOT / "deploy", ROOT / "deploy" / "chart"
VALUES = Path(__file__).with_name("values.yaml")
KUBERNETES = ("1.27", "1.31", "1.34")
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
"""Prometheus operator's, of which Kubernetes has no schema."""
KINDS = (
    *("configmap-v1.json", "service-v1.json", "serviceaccount-v1.json", "statefulset-apps-v1.json"),
    *("job-batch-v1.json", "networkpolicy-networking-v1.json", "poddisruptionbudget-policy-v1.json"),
)
NODES = yaml.safe_load(VALUES.read_text())["nodes"]
USER = 10001

Manifest = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What helm makes of the chart; skips the test when there is no helm."""
    program = shutil.which("helm")
    if program is None:
        pytest.skip("no helm in PATH")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=HANGING, check=False)


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The chart, rendered."""
    release = ("template", "vote", str(CHART), "--namespace", "voting", "--kube-version", KUBERNETES[-1])
    return helm(*release, *arguments)


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    """All that the chart makes of tests/chart/values.yaml."""
    rendered = template("--values", str(VALUES))
    assert rendered.returncode == 0, rendered.stderr
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def pod_specs(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The specification of each pod that is made of a template."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in manifests
        if each["kind"] in {"StatefulSet", "Job"}
    }


def containers(spec: Manifest) -> list[Manifest]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def labels(manifest: Manifest) -> Manifest:
    return dict(manifest["spec"]["template"]["metadata"]["labels"])


def environment_of(container: Manifest, directory: Path) -> dict[str, str]:
    """What a container's service is given, its secrets in *directory*, in a pod with the address 10.1.2.3."""
    for name in ("access-key", "secret-key"):
        (directory / name).write_text(name)
    (directory / "database-url").write_text("postgresql://me:password@postgres/elections")
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return {
        name: value.replace("$(POD_IP)", "10.1.2.3").replace("/run/secrets/node-fsm", str(directory))
        for name, value in given.items()
    }


def test_lint() -> None:
    linted = helm("lint", "--strict", str(CHART), "--values", str(VALUES))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_one_by_kubernetes_schemas(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_kubeconform_agrees(tmp_path: Path) -> None:
    kubeconform = shutil.which("kubeconform")
    if kubeconform is None:
        pytest.skip("no kubeconform in PATH")
    (tmp_path / "manifests.yaml").write_text(template("--values", str(VALUES)).stdout)
    schemas_for_kubeconform(tmp_path)
    location = f"{tmp_path}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    checked = subprocess.run(
        [kubeconform, "-strict", "-summary", "-skip", ",".join(CUSTOM), "-schema-location", location, "manifests.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 2" in checked.stdout


def schemas_for_kubeconform(directory: Path) -> None:
    """Those of kubernetes-validate with what they refer to in each, since the network has the others."""
    schemas = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    [version] = schemas.glob(f"v{KUBERNETES[-1]}*-local-strict")
    definitions = json.loads((version / "_definitions.json").read_text())["$defs"]
    for name in KINDS:
        schema = json.loads((version / name).read_text().replace("/api/_definitions.json#", "#"))
        (directory / name).write_text(json.dumps(schema | {"$defs": definitions}))


def test_each_name_stands_once(manifests: list[Manifest]) -> None:
    names = Counter((each["kind"], each["metadata"]["name"]) for each in manifests)
    assert set(names.values()) == {1}
    assert of_kind(manifests, "StatefulSet").keys() == {f"vote-node-fsm-{name}" for name in NODES}


@pytest.mark.parametrize("name", NODES)
def test_the_service_accepts_each_nodes_environment(manifests: list[Manifest], name: str, tmp_path: Path) -> None:
    container = pod_specs(manifests)[f"vote-node-fsm-{name}"]["containers"][0]
    given = Counter(each["name"] for each in container["env"])
    assert set(given.values()) == {1}
    settings = load_settings(environment_of(container, tmp_path), Settings)
    assert settings.hostname == name
    assert settings.role is (Role.LEADER0 if NODES[name]["role"] == "leader0" else Role.NODE)
    assert settings.signing_key_s3_uri == NODES[name].get("signingKeyUri")
    assert settings.archive_s3_uri == "s3://archive/elections"
    assert settings.node_p2p_public_address == "/ip4/10.1.2.3/tcp/10090"
    assert settings.aws_credentials() == (
        {"aws_access_key_id": "access-key", "aws_secret_access_key": "secret-key"} if "s3Secret" in NODES[name] else {}
    )
    service = of_kind(manifests, "Service")[f"vote-node-fsm-{name}"]
    assert settings.node_p2p_advertise == f"/dns4/{service['metadata']['name']}.voting.svc.cluster.local/tcp/10090"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": settings.port, "p2p": settings.node_p2p_listen.port}
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted["data"] == str(settings.storage_dir)


def test_a_nodes_own_values_go_before_those_of_all(manifests: list[Manifest], tmp_path: Path) -> None:
    container = pod_specs(manifests)["vote-node-fsm-follower3"]["containers"][0]
    environment = environment_of(container, tmp_path)
    assert (environment["NODE_FSM_RESCAN_SECONDS"], environment["NODE_FSM_LOG_FORMAT"]) == ("10", "json")
    claims = {
        name: claim["spec"]["resources"]["requests"]["storage"]
        for name, each in of_kind(manifests, "StatefulSet").items()
        for claim in each["spec"]["volumeClaimTemplates"]
    }
    assert claims["vote-node-fsm-leader2"] == "5Gi"
    assert claims["vote-node-fsm-leader1"] == "20Gi"
    leader0 = pod_specs(manifests)["vote-node-fsm-leader0"]["containers"][0]
    assert leader0["resources"] == {"requests": {"cpu": 2}}


def test_no_pod_can_do_more_than_it_must(manifests: list[Manifest]) -> None:
    for name, spec in pod_specs(manifests).items():
        assert spec["enableServiceLinks"] is False, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert {spec["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {USER}, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(spec):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["requests"], name
            named = {mount["name"] for mount in container["volumeMounts"]}
            claimed = {"data"} if name in of_kind(manifests, "StatefulSet") else set()
            assert named <= {volume["name"] for volume in spec["volumes"]} | claimed, name


def test_secrets_are_named_and_never_written(manifests: list[Manifest]) -> None:
    assert of_kind(manifests, "Secret") == {}
    for name, node in NODES.items():
        [volume] = [
            each for each in pod_specs(manifests)[f"vote-node-fsm-{name}"]["volumes"] if each["name"] == "secrets"
        ]
        sources = [source["secret"]["name"] for source in volume["projected"]["sources"]]
        assert sources == [node["databaseSecret"], *([node["s3Secret"]] if "s3Secret" in node else [])]


def test_a_node_has_the_time_to_stop_and_is_asked_how_it_is(manifests: list[Manifest]) -> None:
    for each in of_kind(manifests, "StatefulSet").values():
        spec = each["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] > STOP_SECONDS
        assert each["spec"]["updateStrategy"] == {"type": "OnDelete"}
        container = spec["containers"][0]
        asked = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
        assert asked == {
            "startupProbe": "/health/live",
            "livenessProbe": "/health/live",
            "readinessProbe": "/health/ready",
        }


def test_one_leader_and_one_follower_may_be_away_at_a_time(manifests: list[Manifest]) -> None:
    budgets = of_kind(manifests, "PodDisruptionBudget").values()
    assert {each["spec"]["maxUnavailable"] for each in budgets} == {1}
    chosen = [each["spec"]["selector"]["matchExpressions"][0]["values"] for each in budgets]
    assert sorted(role for roles in chosen for role in roles) == ["follower", "leader", "leader0"]
    for each in of_kind(manifests, "StatefulSet").values():
        assert sum(labels(each)["app.kubernetes.io/component"] in roles for roles in chosen) == 1


def test_voters_reach_followers_alone_by_the_gateway_alone(manifests: list[Manifest]) -> None:
    service = of_kind(manifests, "Service")["vote-node-fsm-gateway"]["spec"]
    behind = {
        name
        for name, each in of_kind(manifests, "StatefulSet").items()
        if service["selector"].items() <= labels(each).items()
    }
    assert behind == {"vote-node-fsm-follower3"}
    gateway = pod_specs(manifests)["vote-node-fsm-follower3"]["containers"][1]
    assert service["ports"][0]["targetPort"] == gateway["ports"][0]["name"]
    configuration = of_kind(manifests, "ConfigMap")["vote-node-fsm-gateway"]["data"]["nginx.conf"]
    assert configuration.strip() == (DEPLOY / "gateway" / "nginx.conf").read_text().strip()
    assert re.findall(r"listen (\d+) ", configuration) == [str(gateway["ports"][0]["containerPort"])]


def test_the_network_is_closed_but_for_what_is_named(manifests: list[Manifest]) -> None:
    [policy] = of_kind(manifests, "NetworkPolicy").values()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for each in of_kind(manifests, "StatefulSet").values():
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels(each).items()
    assert all(rule["from"] for rule in policy["spec"]["ingress"])
    assert [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"]] == ["p2p", "http", "gateway"]
    bare = template("--values", str(VALUES), "--set-json", "networkPolicy.monitoringFrom=[]")
    [without] = of_kind(list(yaml.safe_load_all(bare.stdout)), "NetworkPolicy").values()
    assert [rule["ports"][0]["port"] for rule in without["spec"]["ingress"]] == ["p2p", "gateway"]


def test_prometheus_gets_one_job_and_the_rules_of_the_repository(manifests: list[Manifest]) -> None:
    [monitor] = of_kind(manifests, "ServiceMonitor").values()
    services = of_kind(manifests, "Service")
    followed = [
        name
        for name, service in services.items()
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        and "node-fsm/node" in service["metadata"]["labels"]
    ]
    assert len(followed) == len(NODES)
    jobs = {services[name]["metadata"]["labels"][monitor["spec"]["jobLabel"]] for name in followed}
    assert jobs == {"vote-node-fsm"}  # by "node-fsm" in it the alerts know it
    [rules] = of_kind(manifests, "PrometheusRule").values()
    assert rules["spec"] == yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    dashboard = of_kind(manifests, "ConfigMap")["vote-node-fsm-dashboard"]["data"]["node-fsm.json"]
    assert dashboard.strip() == (DEPLOY / "grafana" / "node-fsm.json").read_text().strip()


def test_the_schema_is_upgraded_by_its_owner_before_anything_else(manifests: list[Manifest], tmp_path: Path) -> None:
    [job] = of_kind(manifests, "Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert spec["initContainers"][0]["args"] == ["db", "upgrade"]
    load_settings(environment_of(spec["initContainers"][0], tmp_path), DatabaseSettings)
    grants = of_kind(manifests, "ConfigMap")["vote-node-fsm-grants"]["data"]["grants.sql"]
    assert grants.strip() == (DEPLOY / "postgres" / "grants.sql").read_text().strip()
    [secret] = [volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume]
    assert secret == "node-fsm-owner"


def test_what_is_not_asked_for_is_not_made(manifests: list[Manifest]) -> None:
    parts = ("serviceMonitor", "prometheusRule", "dashboard", "gateway", "networkPolicy")
    off = [f"--set={part}.enabled=false" for part in parts]
    rendered = template("--values", str(VALUES), "--set", "schema.ownerSecret=", *off)
    kinds = Counter(each["kind"] for each in yaml.safe_load_all(rendered.stdout) if each)
    assert kinds == {
        "StatefulSet": len(NODES),
        "Service": len(NODES),
        "PodDisruptionBudget": 2,
        "ServiceAccount": 1,
    }
    assert "gateway" not in rendered.stdout


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nodes=null", "nodes must have exactly one whose role is leader0, and has 0"),
        ("nodes.leader1.role=leader0", "nodes must have exactly one whose role is leader0, and has 2"),
        ("nodes.leader1.role=boss", "nodes.leader1.role must be leader0, leader or follower"),
        ("nodes.leader1.databaseSecret=", "nodes.leader1.databaseSecret must name a secret with the key database-url"),
        ("nodes.leader1.signingKeyUri=", "nodes.leader1.signingKeyUri must be s3://BUCKET/KEY"),
        (
            "nodes.follower3.signingKeyUri=s3://keys/f.sk",
            "nodes.follower3.signingKeyUri: a follower has no signing key",
        ),
        ("nodes.Leader_9.role=leader", "nodes.Leader_9: a name has 1 to 21 lower case letters"),
        ("archiveUri=", "archiveUri must be s3://BUCKET/PREFIX"),
        ("image.repository=", "image.repository must be said"),
        ("settings.NODE_FSM_PORT=80", "settings.NODE_FSM_PORT: the chart sets it"),
    ],
)
def test_what_would_go_wrong_later_is_said_at_once(wrong: str, said: str) -> None:
    refused = template("--values", str(VALUES), "--set", wrong)
    assert refused.returncode != 0
    assert said in refused.stderr


def test_the_values_of_the_page_render(tmp_path: Path) -> None:
    [example] = re.findall(
        r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "kubernetes.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "values.yaml").write_text(example)
    rendered = template("--values", str(tmp_path / "values.yaml"))
    assert rendered.returncode == 0, rendered.stderr
    assert of_kind(list(yaml.safe_load_all(rendered.stdout)), "StatefulSet").keys() == {
        f"vote-node-fsm-{name}" for name in ("leader0", "leader1", "follower3")
    }


def test_a_release_of_any_name_has_names_that_kubernetes_takes() -> None:
    long = "a" * 53
    rendered = helm("template", long, str(CHART), "--values", str(VALUES), "--kube-version", KUBERNETES[-1])
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(rendered.stdout) if each]
    # A StatefulSet's pod has a label with its name and a hash of ten characters.
    assert max(map(len, names)) <= 52, max(names, key=len)
