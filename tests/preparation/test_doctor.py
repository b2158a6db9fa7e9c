"""The doctor on a set-up that is well: it says so, beside a service too, and leaves nothing behind."""

import fcntl
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from typer.testing import CliRunner

import node_fsm.preparation.doctor
import node_fsm.preparation.objects
from node_fsm.cli import app
from node_fsm.cli.doctor import lines
from node_fsm.preparation.doctor import doctor
from node_fsm.preparation.finding import Doubt, Finding, Verdict, examine
from node_fsm.s3.trial import TrialStore
from tests.database.world import add_election
from tests.preparation.world import World
from tests.s3.helpers import keys, unfinished_uploads
from tests.s3.test_lesser_servers import without_conditions
from tests.support.proxy import FaultyProxy


def verdicts(findings: list[Finding]) -> dict[str, Verdict]:
    return {f"{finding.area}: {finding.check}": finding.verdict for finding in findings}


async def test_nothing_is_found_where_all_is_well_and_nothing_stays_of_it(world: World) -> None:
    await add_election(world.sql)
    objects, rows, files = keys(world.bucket), await world.rows(), sorted(world.directory.rglob("*"))
    findings = await world.doctor()
    assert {finding.verdict for finding in findings} <= {Verdict.OK, Verdict.SKIPPED, Verdict.DOUBT}, findings
    assert verdicts(findings) == {
        "settings: template": "ok",
        "programs: jcli": "ok",
        "programs: jormungandr": "ok",
        "database: answer": "ok",
        "database: schema": "ok",
        "database: rights": "ok",
        "database: notifications": "ok",
        "database: clock": "ok",
        "database: rows": "ok",
        "machine: directory": "ok",
        "machine: space": "ok",
        "machine: ports": "ok",
        "machine: REST interface": "ok",
        "cluster: role": "ok",
        "cluster: versions": "ok",
        "cluster: address": "doubt",  # a loopback address
        "cluster: peers": "ok",
        "S3: key": "ok",
        "S3: members' keys": "skipped",
        "S3: write": "ok",
        "S3: read": "ok",
        "S3: missing objects": "ok",
        "S3: parts": "ok",
        "S3: uploads": "ok",
        "S3: what was written": "ok",
    }
    assert keys(world.bucket) == objects
    assert unfinished_uploads(world.bucket) == []
    assert await world.rows() == rows
    assert sorted(world.directory.rglob("*")) == files
    assert all(outlook.problems == () for outlook in await world.plan())
    assert await world.rows() == rows


async def test_a_bucket_with_versions_keeps_none(world: World) -> None:
    client: Any = world.bucket.client
    client.put_bucket_versioning(Bucket=world.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    await world.doctor()
    kept = client.list_object_versions(Bucket=world.bucket.name)
    assert ([each["Key"] for each in kept["Versions"]], kept.get("DeleteMarkers", [])) == (["leader0.sk"], [])


async def test_who_may_not_delete_leaves_what_the_service_itself_leaves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> bool:
        return False

    monkeypatch.setattr(TrialStore, "remove", refused)
    said = [finding.said for finding in await world.doctor() if finding.check == "what was written"]
    assert "stays, as the service itself writes it at its start" in said[0]
    assert keys(world.bucket) == ["archive/probe", "leader0.sk"]
    monkeypatch.undo()
    said = [finding.said for finding in await world.doctor() if finding.check == "what was written"]
    assert said == ["probe was there before, as the service leaves it"]
    assert keys(world.bucket) == ["archive/probe", "leader0.sk"]


async def test_a_server_without_conditions_can_be_lived_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lesser(TrialStore):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            without_conditions(self)

    monkeypatch.setattr(node_fsm.preparation.doctor, "TrialStore", Lesser)
    findings = {finding.check: finding for finding in await world.doctor()}
    assert findings["write"].verdict is Verdict.OK
    assert findings["parts"].verdict is Verdict.DOUBT
    assert (keys(world.bucket), unfinished_uploads(world.bucket)) == (["leader0.sk"], [])


async def test_uploads_that_broke_off_are_told(world: World) -> None:
    world.bucket.client.create_multipart_upload(
        Bucket=world.bucket.name, Key="archive/1-a/hash/final-1/archive.tar.zst"
    )
    (finding,) = [finding for finding in await world.doctor() if finding.check == "uploads"]
    assert finding.verdict is Verdict.DOUBT
    assert finding.said.startswith("1 uploads broke off more than a day ago")


async def test_whoever_interrupts_it_leaves_nothing_behind(world: World) -> None:
    findings = doctor(world.settings)
    async for finding in findings:
        if finding.check == "write":
            break
    assert keys(world.bucket) == ["archive/probe", "leader0.sk"]
    await findings.aclose()
    assert keys(world.bucket) == ["leader0.sk"]


async def test_a_service_of_another_version_is_told(world: World) -> None:
    await world.told("leader0")  # of version 1.0
    findings = {finding.check: finding for finding in await world.doctor()}
    assert findings["versions"].verdict is Verdict.DOUBT
    assert findings["versions"].said.startswith("leader0 has 1.0, and this is")


async def test_beside_a_service_its_ports_are_its_own(world: World) -> None:
    storage = world.settings.storage_dir
    storage.mkdir()
    with (storage / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        findings = {finding.check: finding for finding in await world.doctor()}
    assert findings["ports"].verdict is Verdict.SKIPPED
    assert findings["directory"].said.endswith("and a service runs on it")


@pytest.mark.parametrize(
    ("fault", "verdict", "said"),
    [
        (None, "ok", "fine"),
        ("doubt", "doubt", "hm"),
        ("hang", "failed", "no answer within 0.05 s"),
        ("defect", "failed", "KeyError"),
    ],
)
async def test_whatever_a_check_does_is_a_line(fault: str | None, verdict: str, said: str) -> None:
    async def check() -> str | Doubt:
        if fault == "hang":
            import asyncio

            await asyncio.Event().wait()
        if fault == "defect":
            raise KeyError("postgresql://a:secret@b/c")
        return Doubt("hm") if fault else "fine"

    finding = await examine("area", "name", check, 0.05)
    assert finding.verdict == verdict
    assert said in finding.said
    assert "secret" not in finding.said


async def test_servers_that_are_silent_end_no_check_too_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_fsm.preparation.doctor, "S3_SECONDS", 0.3)
    monkeypatch.setattr("node_fsm.s3.parts.RETRY_DELAYS", (0.0,))
    port = int(world.bucket.endpoint_url.rpartition(":")[2])
    with FaultyProxy(port) as silent:
        silent.blackhole()
        world.environment["NODE_FSM_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{silent.port}"
        before = time.monotonic()
        findings = {finding.check: finding for finding in await world.doctor()}
    assert time.monotonic() - before < 60
    assert (findings["key"].verdict, findings["write"].verdict, findings["parts"].verdict) == (
        *("failed", "failed"),
        "skipped",
    )


def test_lines_are_for_people_and_hold_no_control_characters() -> None:
    finding = Finding("S3", "key", Verdict.FAILED, "the key \x1b[2J is wrong; mend it")
    shown = "\n".join(lines(finding, 60))
    assert "MEND" in shown
    assert "\\x1b[2J" in shown


async def some() -> AsyncGenerator[Finding, None]:
    yield Finding("S3", "key", Verdict.OK, "fine")


def test_the_commands_end_with_1_when_something_must_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_fsm.preparation.doctor, "check", lambda environ: some())
    result = CliRunner().invoke(app, ["check"])
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "nothing that must be mended")
    monkeypatch.undo()
    monkeypatch.setenv("NODE_FSM_ROLE", "leader1")
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert "NODE_FSM_ROLE='leader1'" in result.stdout
    told = json.loads(CliRunner().invoke(app, ["check", "--output", "json"]).stdout)
    assert {finding["verdict"] for finding in told} == {"failed", "skipped"}
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 2
