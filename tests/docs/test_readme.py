"""What the first page tells people to type is enough: from a machine with Python alone to an election that waits."""

import os
import re
import shutil
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from node_fsm_sandbox.election.binaries import script as program
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import CREDENTIALS
from node_fsm_sandbox.servers.server import free_port
from sqlalchemy import make_url

from node_fsm.settings.model import Settings, load_settings
from tests.docs.pages import ROOT, blocks
from tests.docs.shell import exported, run, script
from tests.support.bucket import Bucket
from tests.support.polling import HANGING

README = ROOT / "README.md"
SECTION = "Run it"
SOURCES = (
    "node_fsm",
    "states",
    "requirements",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "block0_template.yaml",
    "docs",
)
ROLE = "of_readme"
PASSWORD = "of-readme"


def test_the_exported_settings_are_all_that_leader_0_needs() -> None:
    found = dict(re.findall(r"^export (\w+)=(\S+)", README.read_text(), re.MULTILINE))
    assert load_settings({name: value for name, value in found.items() if name != "PATH"}, Settings).role == "leader0"


async def test_a_service_is_installed_and_set_up_as_it_is_written(
    tmp_path: Path, postgres_server: EmbeddedPostgres, s3_bucket: Bucket
) -> None:
    database = await as_administrator(postgres_server)
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    prepare_checkout(checkout)
    prepare_machine(home)
    p2p = free_port()
    others = {
        "NODE_FSM_PORT": free_port(),
        "NODE_FSM_NODE_REST_LISTEN": f"127.0.0.1:{free_port()}",
        "NODE_FSM_NODE_P2P_LISTEN": f"127.0.0.1:{p2p}",
    }
    values = CREDENTIALS | {
        "NODE_FSM_DATABASE_URL": database,
        "NODE_FSM_S3_ENDPOINT_URL": s3_bucket.endpoint_url,
        "NODE_FSM_SIGNING_KEY_S3_URI": f"s3://{s3_bucket.name}/keys/leader0.sk",
        "NODE_FSM_ARCHIVE_S3_URI": f"s3://{s3_bucket.name}/archive/elections",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": f"/ip4/127.0.0.1/tcp/{p2p}",
    }
    text = script(
        README,
        {
            # pip itself is among them, which no offline pip can replace; all the others are there already.
            "-r requirements/build.txt ": "",
            **exported(README, values),
            "\nnode-fsm run\n": "\nnode-fsm run > service.log 2>&1 &\nservice=$!\n",
            "\nnode-fsm status\n": "\nuntil node-fsm status > seen; grep -q Waiting seen; do sleep 1; done"
            "\nnode-fsm status || [ $? = 3 ]\nkill $service\nwait $service\n",  # 3, since it runs on stand-ins
        },
        section=SECTION,
    )
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{name: str(value) for name, value in others.items()},
    }
    try:
        output = run(text, checkout, environment, seconds=2 * HANGING)
    finally:
        await drop(postgres_server)
    assert (home / "node-fsm" / "data").is_dir()
    assert "Fund 15" in output.rpartition("Elections")[2], output
    assert "Traceback" not in (checkout / "service.log").read_text()


async def as_administrator(server: EmbeddedPostgres) -> str:
    """Make role and database as the page says, under names of the test's own; the URL to reach it by."""
    [block] = [block for block in blocks(README, SECTION) if block.language == "sql"]
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    try:
        text = block.text.replace("node_fsm", ROLE).replace("elections", ROLE).replace("'PASSWORD'", f"'{PASSWORD}'")
        for statement in text.split(";")[:-1]:
            await connection.execute(statement)
    finally:
        await connection.close()
    url = make_url(server.url(ROLE)).set(drivername="postgresql", username=ROLE, password=PASSWORD)
    return url.render_as_string(hide_password=False)


async def drop(server: EmbeddedPostgres) -> None:
    """Leave the server of all tests as it was."""
    await server.drop_database(ROLE)
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    await connection.execute(f"DROP ROLE {ROLE}")
    await connection.close()


def prepare_checkout(checkout: Path) -> None:
    """What the wheel is made of, and the two files that the page on imports shows, with times to come."""
    checkout.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    shown = {block.language: block.text for block in blocks(ROOT / "docs" / "import.md")}
    year = datetime.now(UTC).year + 1
    (checkout / "election.yaml").write_text(re.sub(r"\b20\d\d-", f"{year}-", shown["yaml"]))
    (checkout / "voters.csv").write_text(shown["csv"])


def prepare_machine(home: Path) -> None:
    """The programs of a release, and what pip would fetch."""
    release = home / "jormungandr"
    release.mkdir(parents=True)
    for name in ("jcli", "jormungandr"):
        shutil.copy(program(f"sandbox-{name}"), release / name)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "node-fsm" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        # pip comes with venv, and the project is what is to be installed.
        if not re.match(r"pip(-|$)|node_fsm|.*\.pth$|__editable__", found.name):
            (packages / found.name).symlink_to(found)
