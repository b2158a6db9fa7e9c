"""The cluster of deploy/compose.yaml is one that the service accepts, and its parts fit together."""

import ipaddress
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from node_fsm.service import STOP_SECONDS
from node_fsm.settings.model import CommandSettings, DatabaseSettings, Settings, load_settings
from tests.container.paths import COMPOSE, DEPLOY
from tests.support.polling import HANGING

PROJECT: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
NODES = {name: service for name, service in SERVICES.items() if "NODE_FSM_ROLE" in service.get("environment", {})}
LEADERS = {name for name in NODES if name.startswith("leader")}
IMAGE = PROJECT["x-node"]["image"]
OURS = {name for name, service in SERVICES.items() if service["image"] == IMAGE}
ONCE = {"admin", "schema", "grants", "buckets"}
"""What ends by itself."""


def environment_of(name: str, directory: Path) -> dict[str, str]:
    """The environment of a service, its secrets' files written into *directory*."""
    service = SERVICES[name]
    for secret in service["secrets"]:
        url = f"postgresql://{secret.removeprefix('database-url-')}:password@postgres:5432/elections"
        (directory / secret).write_text(url if secret.startswith("database-url") else f"secret of {secret}")
    return {
        variable: value.replace("/run/secrets", str(directory)) for variable, value in service["environment"].items()
    }


def settings_of(name: str, directory: Path) -> Settings:
    """The settings that a node would begin with, its secrets' files in *directory*."""
    return load_settings(environment_of(name, directory), Settings)


def seconds(duration: str) -> int:
    """A duration of whole seconds."""
    match = re.fullmatch(r"(\d+)s", duration)
    assert match, duration
    return int(match[1])


def test_there_are_three_leaders_and_a_follower() -> None:
    roles = {name: node["environment"]["NODE_FSM_ROLE"] for name, node in NODES.items()}
    assert roles == {"leader0": "leader0", "leader1": "node", "leader2": "node", "follower3": "node"}


@pytest.mark.parametrize("name", NODES)
def test_the_service_accepts_each_nodes_environment(name: str, tmp_path: Path) -> None:
    settings = settings_of(name, tmp_path)
    assert settings.hostname == name
    assert make_url(settings.database_url.get_secret_value()).username == name
    assert settings.aws_credentials() == {"aws_access_key_id": name, "aws_secret_access_key": f"secret of s3-{name}"}
    assert settings.archive_s3_uri == "s3://archive/elections"
    assert settings.signing_key_s3_uri == (f"s3://keys/{name}.sk" if name in LEADERS else None)


@pytest.mark.parametrize(("name", "login"), [("admin", "operator"), ("schema", "node_fsm_owner")])
def test_the_commands_on_the_database_accept_their_environment(name: str, login: str, tmp_path: Path) -> None:
    settings = load_settings(environment_of(name, tmp_path), DatabaseSettings)
    assert make_url(settings.database_url.get_secret_value()).username == login


def test_an_operator_has_a_credential_for_s3(tmp_path: Path) -> None:
    settings = load_settings(environment_of("admin", tmp_path), CommandSettings)
    assert settings.aws_credentials() == {
        "aws_access_key_id": "operator",
        "aws_secret_access_key": "secret of s3-operator",
    }


def test_the_buckets_that_nodes_use_have_policies(tmp_path: Path) -> None:
    settings = [settings_of(name, tmp_path) for name in NODES]
    uris = {uri for each in settings for uri in (each.signing_key_s3_uri, each.archive_s3_uri) if uri}
    policies = {file.stem for file in (DEPLOY / "s3").glob("*.json")}
    assert {uri.split("/")[2] for uri in uris} < policies == {"keys", "archive", "members"}


def test_nobody_has_anothers_secrets() -> None:
    shared = {"database-url-node_fsm_owner": {"schema", "grants"}}
    shared |= {"s3-root": {"s3", "buckets"}, "s3-root-access": {"s3", "buckets"}}
    users: defaultdict[str, set[str]] = defaultdict(set)
    for name, service in SERVICES.items():
        for secret in service.get("secrets", []):
            users[secret].add(name)
    assert {secret: names for secret, names in users.items() if len(names) > 1} == shared


@pytest.mark.parametrize("name", NODES)
def test_each_node_says_its_own_address(name: str, tmp_path: Path) -> None:
    settings = settings_of(name, tmp_path)
    address = NODES[name]["networks"]["cluster"]["ipv4_address"]
    port = settings.node_p2p_listen.port
    assert settings.node_p2p_public_address == f"/ip4/{address}/tcp/{port}"
    assert settings.node_p2p_advertise == f"/dns4/{name}/tcp/{port}"


def test_the_fixed_addresses_are_of_the_network_and_given_to_nobody_else() -> None:
    [network] = PROJECT["networks"]["cluster"]["ipam"]["config"]
    addresses = [ipaddress.ip_address(node["networks"]["cluster"]["ipv4_address"]) for node in NODES.values()]
    assert len(set(addresses)) == len(NODES)
    assert all(address in ipaddress.ip_network(network["subnet"]) for address in addresses)
    assert not any(address in ipaddress.ip_network(network["ip_range"]) for address in addresses)


def test_each_node_keeps_its_chains_in_a_volume_of_its_own(tmp_path: Path) -> None:
    volumes = {name: node["volumes"] for name, node in NODES.items()}
    assert volumes == {name: [f"{name}:{settings_of(name, tmp_path).storage_dir}"] for name in NODES}
    assert set(NODES) <= set(PROJECT["volumes"])
    for name in OURS - set(NODES):
        assert str(settings_of("leader0", tmp_path).storage_dir) in SERVICES[name]["tmpfs"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_locked_in_bounded_and_pinned(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") or name == "postgres"
    assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}
    assert service["mem_limit"].endswith("g")
    assert service["pids_limit"] > 0
    assert service["image"] == IMAGE or re.fullmatch(r"docker\.io/[\w/]+:v?\d+(\.\d+)+", service["image"])


@pytest.mark.parametrize("name", NODES)
def test_a_node_has_the_time_to_stop(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > STOP_SECONDS


def test_each_server_has_a_health_check_and_nothing_starts_before_what_it_needs() -> None:
    for name in ("postgres", "s3"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    for name in OURS - set(NODES):
        assert SERVICES[name]["healthcheck"] == {"disable": True}  # it ends by itself
    before: dict[str, dict[str, Any]] = {
        "schema": {"postgres": "service_healthy"},
        "grants": {"schema": "service_completed_successfully"},
        "buckets": {"s3": "service_healthy"},
        "admin": {"postgres": "service_healthy", "s3": "service_healthy"},
    }
    ready = {"grants": "service_completed_successfully", "buckets": "service_completed_successfully"}
    before |= dict.fromkeys(NODES, ready)
    for name, conditions in before.items():
        assert {each: how["condition"] for each, how in SERVICES[name]["depends_on"].items()} == conditions, name
    for node in NODES.values():
        assert "healthcheck" not in node  # the image's own
    assert {name for name, service in SERVICES.items() if service["restart"] in {"on-failure", "no"}} == ONCE


def test_the_gateway_is_where_the_followers_node_listens() -> None:
    gateway = SERVICES["gateway"]
    assert gateway["network_mode"] == "service:follower3"
    assert "/etc/gateway/nginx.conf" in gateway["entrypoint"]
    assert gateway["volumes"] == ["./gateway:/etc/gateway:ro"]
    configuration = (DEPLOY / "gateway" / "nginx.conf").read_text()
    [port] = re.findall(r"listen (\d+) ", configuration)
    assert f"127.0.0.1:{port}:{port}" in SERVICES["follower3"]["ports"]
    [node] = re.findall(r"server (127\.0\.0\.1:\d+) ", configuration)
    assert node == str(Settings.model_fields["node_rest_listen"].default)


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounted
    assert all((DEPLOY / path).exists() for path in mounted)
    assert all(volume.endswith(":ro") for s in SERVICES.values() for volume in s.get("volumes", []) if "./" in volume)


def test_prometheus_asks_every_service_and_grafana_asks_prometheus() -> None:
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    [job] = configuration["scrape_configs"]
    [group] = job["static_configs"]
    assert "node-fsm" in job["job_name"]  # by which alerts know it
    assert group["targets"] == [f"{name}:8000" for name in NODES]
    assert all((DEPLOY / "prometheus" / file).exists() for file in configuration["rule_files"])
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert [source["url"] for source in sources["datasources"]] == ["http://prometheus:9090"]
    [provider] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/node-fsm.yaml").read_text())["providers"]
    assert f"./grafana:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_promtool_takes_the_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool in PATH")
    done = subprocess.run(
        [promtool, "check", "config", DEPLOY / "prometheus" / "prometheus.yaml"],
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_loopback_reaches_what_is_published_and_of_nodes_only_the_sidecar(tmp_path: Path) -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len(set(published)) == len(published)
    for name, node in NODES.items():
        assert [port.rpartition(":")[2] for port in node["ports"]] == [
            str(settings_of(name, tmp_path).port),
            *(["8080"] if name == "follower3" else []),
        ]


def test_secrets_come_from_files_that_each_service_is_given() -> None:
    for name, service in SERVICES.items():
        used = set(re.findall(r"/run/secrets/([\w.-]+)", str(service)))
        assert used | ({"logins.sql"} if name == "postgres" else set()) == set(service.get("secrets", [])), name
        assert used <= set(PROJECT["secrets"])
    assert all(secret["file"] == f"./secrets/{name}" for name, secret in PROJECT["secrets"].items())
