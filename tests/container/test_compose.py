"""The cluster of deploy/compose.yaml is one that the service accepts, and its parts fit together."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from node_fsm.core.phases import Role
from node_fsm.service import STOP_SECONDS
from node_fsm.settings.model import DatabaseSettings, Settings, load_settings
from tests.container.paths import COMPOSE

SECRETS = {
    "database-url": "postgresql://node_fsm:password@postgres:5432/elections",
    "s3-access-key": "access",
    "s3-secret-key": "secret",
}
PROJECT: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
NODES = {name: service for name, service in SERVICES.items() if "NODE_FSM_ROLE" in service.get("environment", {})}
LEADERS = {name for name in NODES if name.startswith("leader")}


def environment_of(name: str, directory: Path) -> dict[str, str]:
    """The environment of a service, its secrets' files written into *directory*."""
    service = SERVICES[name]
    for secret in service["secrets"]:
        (directory / secret).write_text(SECRETS[secret])
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
    assert settings.database_url.get_secret_value() == SECRETS["database-url"]
    assert settings.aws_credentials() == {"aws_access_key_id": "access", "aws_secret_access_key": "secret"}
    assert (settings.role is Role.LEADER0) == (settings.archive_s3_uri is not None)
    assert settings.signing_key_s3_uri == (f"s3://keys/{name}.sk" if name in LEADERS else None)


def test_the_commands_on_the_database_accept_their_environment(tmp_path: Path) -> None:
    settings = load_settings(environment_of("admin", tmp_path), DatabaseSettings)
    assert settings.database_url.get_secret_value() == SECRETS["database-url"]


def test_the_buckets_that_nodes_use_are_made(tmp_path: Path) -> None:
    settings = [settings_of(name, tmp_path) for name in NODES]
    uris = {uri for each in settings for uri in (each.signing_key_s3_uri, each.archive_s3_uri) if uri}
    made = set(re.findall(r"(?<= )/data/(\w+)", SERVICES["s3"]["entrypoint"][-1]))
    assert made == {uri.split("/")[2] for uri in uris} == {"keys", "archive"}


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
    assert str(settings_of("leader0", tmp_path).storage_dir) in SERVICES["admin"]["tmpfs"]


@pytest.mark.parametrize("name", [*NODES, "admin"])
def test_the_image_is_locked_in_and_has_the_time_to_stop(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert seconds(service["stop_grace_period"]) > STOP_SECONDS


def test_each_server_has_a_health_check_and_nothing_starts_before_what_it_needs() -> None:
    for name in ("postgres", "s3"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    admin = SERVICES["admin"]
    assert admin["healthcheck"] == {"disable": True}  # it ends by itself
    assert admin["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for node in NODES.values():
        assert "healthcheck" not in node  # the image's own
        assert node["depends_on"] == {"admin": {"condition": "service_completed_successfully"}}


def test_only_loopback_reaches_what_is_published_and_of_nodes_only_the_sidecar(tmp_path: Path) -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len(set(published)) == len(published)
    for name, node in NODES.items():
        [port] = node["ports"]
        assert port.rpartition(":")[2] == str(settings_of(name, tmp_path).port)


def test_secrets_come_from_files_that_each_service_is_given() -> None:
    for name, service in SERVICES.items():
        used = set(re.findall(r"/run/secrets/([\w-]+)", str(service)))
        assert used == set(service.get("secrets", [])), name
        assert used <= set(PROJECT["secrets"])
    assert all(secret["file"].startswith("./secrets/") for secret in PROJECT["secrets"].values())
