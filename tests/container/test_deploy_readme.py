"""What deploy/README.md tells people to type fits deploy/compose.yaml."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from node_fsm.settings.model import Settings, load_settings
from tests.container.paths import DEPLOY_README
from tests.container.test_compose import LEADERS, NODES, PROJECT, SERVICES
from tests.support.polling import HANGING

TEXT = DEPLOY_README.read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def block(start: str) -> str:
    """The commands that begin with *start*."""
    [found] = [each for each in BLOCKS if each.startswith(start)]
    return str(found)


def test_the_secrets_are_those_of_the_project_and_the_containers_users_can_read_them(tmp_path: Path) -> None:
    script = f"umask 077\nset -eu\n{block('mkdir')}"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, timeout=HANGING)
    secrets = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert secrets.keys() == PROJECT["secrets"].keys()
    assert {path.stat().st_mode & 0o777 for path in secrets.values()} == {0o444}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    environment = NODES["leader0"]["environment"]
    settings = load_settings(
        {name: value.replace("/run/", f"{tmp_path}/") for name, value in environment.items()}, Settings
    )
    url = urlsplit(settings.database_url.get_secret_value())
    postgres = SERVICES["postgres"]["environment"]
    assert url.password == secrets["postgres-password"].read_text().strip()
    assert (url.hostname, url.username) == ("postgres", postgres["POSTGRES_USER"])
    assert url.path == f"/{postgres['POSTGRES_DB']}"


def test_every_node_gets_its_row_and_every_leader_its_key() -> None:
    commands = block("for name in")
    [names] = re.findall(r"for name in (.+); do", commands)
    assert set(names.split()) == LEADERS
    assert set(re.findall(r"node add (\w+)", commands)) == NODES.keys() - LEADERS
    uris = {node["environment"]["NODE_FSM_SIGNING_KEY_S3_URI"] for name, node in NODES.items() if name in LEADERS}
    [written] = re.findall(r"> /data/(\S+\.sk)", commands)
    assert uris == {f"s3://{written.replace('$name', name)}" for name in LEADERS}


def test_every_service_that_is_named_is_there() -> None:
    started = block("docker compose up --detach postgres").split()[4:]
    run = re.findall(r"docker compose run (?:--(?:entrypoint|volume) \S+ |-(?:T|-rm) )*(\w+)", TEXT)
    executed = re.findall(r"docker compose exec (?:-\S+ )*(\w+)", TEXT)
    assert set(run) == {"admin"}
    assert set(started) | set(executed) < SERVICES.keys()


def test_the_ports_are_those_that_are_published() -> None:
    published = {port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])}
    assert published <= set(re.findall(r"\b\d{4}\b", TEXT))
