"""What deploy/README.md tells people to type fits deploy/compose.yaml."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.server import LOOPBACK
from sqlalchemy import make_url

from node_fsm.database.migrate import upgrade
from tests.container.paths import DEPLOY, DEPLOY_README
from tests.container.test_compose import LEADERS, NODES, PROJECT, SERVICES
from tests.s3.test_policies import NAMES
from tests.support.polling import HANGING
from tests.support.roles import execute

TEXT = DEPLOY_README.read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def block(start: str) -> str:
    """The commands that begin with *start*."""
    [found] = [each for each in BLOCKS if each.startswith(start)]
    return str(found)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that secrets.sh makes, in a copy of deploy/ without what is there of a cluster of one's own."""
    directory = tmp_path_factory.mktemp("deploy")
    shutil.copy(DEPLOY / "secrets.sh", directory)
    subprocess.run([directory / "secrets.sh"], check=True, timeout=HANGING)
    return directory / "secrets"


def test_the_secrets_are_those_of_the_project_and_the_containers_users_can_read_them(secrets: Path) -> None:
    assert "./secrets.sh\n" in BLOCKS
    files = {path.name: path for path in secrets.iterdir()}
    assert files.keys() == PROJECT["secrets"].keys() | {"database-url-backup", "s3-backup"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o444}
    assert secrets.stat().st_mode & 0o077 == 0
    passwords = [path.read_text() for path in files.values() if path.name != "s3-root-access"]
    assert len(set(passwords)) == len(passwords)


def test_secrets_that_are_there_are_kept(secrets: Path) -> None:
    before = {path: path.read_bytes() for path in secrets.iterdir()}
    again = subprocess.run([secrets.parent / "secrets.sh"], check=False, timeout=HANGING, capture_output=True)
    assert again.returncode != 0
    assert {path: path.read_bytes() for path in secrets.iterdir()} == before


def test_s3_knows_the_names_of_the_policies_with_the_secrets_that_services_have(secrets: Path) -> None:
    accounts = json.loads((secrets / "s3-users.json").read_text())["accessAccounts"]
    assert accounts == {
        name: {"access": name, "secret": (secrets / f"s3-{name}").read_text(), "role": "user"} for name in NAMES
    }


async def test_each_login_has_its_role_in_a_database_made_by_these_files(secrets: Path) -> None:
    """As the image of Postgres, `schema` and `grants` do it, one after the other."""
    async with EmbeddedPostgres(fast=True) as server:
        database = await server.create_database("elections")
        logins = (secrets / "logins.sql").read_text()
        await execute(database, (DEPLOY / "postgres" / "roles.sql").read_text(), logins)

        def url(name: str) -> str:
            text = (secrets / f"database-url-{name}").read_text().strip()
            assert make_url(text).host == "postgres"
            here = make_url(text).set(host=LOOPBACK, port=server.port)
            return here.render_as_string(hide_password=False)

        await upgrade(url("node_fsm_owner"))
        await execute(url("node_fsm_owner"), (DEPLOY / "postgres" / "grants.sql").read_text())
        roles = {}
        for name in (*NODES, "operator", "backup"):
            connection = await asyncpg.connect(url(name))
            roles[name] = await connection.fetchval(
                "SELECT array_agg(role) FROM unnest(ARRAY['leader0', 'node', 'operator', 'backup']) AS role"
                " WHERE pg_has_role('node_fsm_' || role, 'MEMBER')"
            )
            await connection.close()
        assert roles == {
            "leader0": ["leader0", "node"],
            **{name: ["node"] for name in ("leader1", "leader2", "follower3")},
            "operator": ["operator"],
            "backup": ["backup"],
        }


def test_every_node_gets_its_row_and_every_leader_its_key() -> None:
    commands = block("for name in")
    [names] = re.findall(r"for name in (.+); do", commands)
    assert set(names.split()) == LEADERS
    assert set(re.findall(r"node add (\w+)", commands)) == NODES.keys() - LEADERS
    uris = {node["environment"]["NODE_FSM_SIGNING_KEY_S3_URI"] for name, node in NODES.items() if name in LEADERS}
    [written] = re.findall(r"node keygen \"(s3://\S+)\"", commands)
    assert uris == {written.replace("$name", name) for name in LEADERS}


def test_every_service_that_is_named_is_there() -> None:
    started = block("docker compose up --detach postgres").split()[4:]
    run = re.findall(r"docker compose run (?:--(?:entrypoint|volume) \S+ |-(?:T|-rm) )*(\w+)", TEXT)
    executed = re.findall(r"docker compose exec (?:-\S+ )*(\w+)", TEXT)
    assert set(run) == {"admin"}
    assert set(started) | set(executed) < SERVICES.keys()


def test_the_ports_are_those_that_are_published() -> None:
    published = {port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])}
    assert published <= set(re.findall(r"\b\d{4}\b", TEXT))
