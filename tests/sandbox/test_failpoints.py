"""Failpoints: that none is forgotten, what each action does, and that production refuses them."""

import asyncio
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from node_fsm_sandbox.failpoints.around import arm
from node_fsm_sandbox.failpoints.names import (
    NO_EFFECT,
    PORTS,
    RECORDED_BY,
    effects,
    failpoints,
    is_transaction,
    members,
)

from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.events import Event
from node_fsm.core.phases import Phase
from node_fsm.core.view import Decision
from node_fsm.ports import Database
from node_fsm.settings.model import Settings, load_settings
from node_fsm.steps.context import Context
from states.base import PhaseState
from tests.config.test_settings import NODE, problems
from tests.support.polling import HANGING


class Store:
    """Writes down what is done to it."""

    def __init__(self) -> None:
        self.written: list[str] = []

    async def write_once(self, uri: str, _: bytes) -> bool:
        self.written.append(uri)
        return True


class Workspace:
    def __init__(self) -> None:
        self.removed: list[object] = []

    def remove(self, local: object) -> None:
        self.removed.append(local)


class Tallying(PhaseState):
    phase = Phase.TALLYING

    async def run(self, _: Context) -> Decision:
        return Decision(Event.RESULTS_POSTED, "done")


def armed(setting: str) -> Any:
    """A context whose ports fail as *setting* says."""
    ctx = SimpleNamespace(
        phase=Phase.WAITING,
        database=object(),
        store=Store(),
        jcli=object(),
        node=object(),
        workspace=Workspace(),
    )
    arm(setting, cast("Context", ctx), [])
    return ctx


def test_every_method_of_a_port_is_a_failpoint_or_known_to_change_nothing() -> None:
    for port in PORTS:
        assert members(port) >= NO_EFFECT[port], "what is no method any more"
    # A method that is new is a failpoint by itself, and then these say what else it needs.
    elsewhere = {effect for effect in effects() if not is_transaction(effect) and not effect.startswith("phase.")}
    assert elsewhere == {effect for effect in RECORDED_BY if not effect.startswith("phase.")}
    assert {effect for effect in RECORDED_BY.values() if not is_transaction(effect)} == set()
    assert set(RECORDED_BY) | set(RECORDED_BY.values()) <= set(effects())


def test_what_a_database_is_asked_by_a_reader_is_no_failpoint() -> None:
    """The other way round: what begins as a write does is not hidden among what only reads."""
    verbs = ("add", "announce", "forget", "post", "publish", "release", "report", "resolve", "restore", "save", "with")
    assert [name for name in NO_EFFECT["database"] if name.startswith(verbs)] == []
    assert set(NO_EFFECT["database"]) < {name for name in dir(Database) if not name.startswith("_")}


def test_the_command_lists_all_of_them() -> None:
    command = [sys.executable, "-m", "node_fsm_sandbox.failpoints"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=True)
    listed = {line.split(" = ")[0] for line in done.stdout.splitlines()}
    assert listed >= set(failpoints())
    assert "store.upload:recorded = database.save_archive:recorded" in done.stdout.splitlines()


async def test_an_error_is_one_of_the_port_and_happens_once() -> None:
    ctx = armed("store.write_once:before=error, store.write_once:done@2=error")
    with pytest.raises(TemporaryError, match=r"store\.write_once:before"):
        await ctx.store.write_once("s3://a", b"")
    assert ctx.store.written == []
    assert await ctx.store.write_once("s3://b", b"")
    with pytest.raises(TemporaryError, match=r"store\.write_once:done"):
        await ctx.store.write_once("s3://c", b"")
    assert await ctx.store.write_once("s3://d", b"")
    assert ctx.store.written == ["s3://b", "s3://c", "s3://d"]


async def test_one_may_be_meant_in_a_phase_alone() -> None:
    ctx = armed("store.write_once:before@Archiving=error")
    assert await ctx.store.write_once("s3://a", b"")
    ctx.phase = Phase.ARCHIVING
    with pytest.raises(TemporaryError, match=r"store\.write_once:before") as caught:
        await ctx.store.write_once("s3://b", b"")
    assert caught.value.reason == "FailpointStoreWriteOnceBefore"
    assert await ctx.store.write_once("s3://c", b"")


async def test_the_disk_fails_as_disks_do() -> None:
    ctx = armed("workspace.remove:done=error")
    with pytest.raises(OSError, match=r"workspace\.remove:done"):
        await asyncio.to_thread(ctx.workspace.remove, "chain")
    assert ctx.workspace.removed == ["chain"]


async def test_a_pause_ends_with_its_file_and_a_hang_by_the_caller_alone(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    ctx = armed(f"store.write_once:before=pause:{hold},store.write_once:done@2=hang")
    paused = asyncio.create_task(ctx.store.write_once("s3://a", b""))
    await asyncio.sleep(0.2)
    assert ctx.store.written == []
    hold.unlink()
    async with asyncio.timeout(HANGING):
        assert await paused
    hung = asyncio.create_task(ctx.store.write_once("s3://b", b""))
    await asyncio.sleep(0.2)
    assert ctx.store.written == ["s3://a", "s3://b"]
    assert not hung.done()
    hung.cancel()
    await asyncio.wait({hung}, timeout=HANGING)
    assert hung.cancelled()


async def test_the_work_of_a_phase_fails_as_a_whole() -> None:
    ctx, state = armed(""), Tallying()
    arm("phase.Tallying:before=error,phase.Tallying:done=error", ctx, [state])
    for moment in ("before", "done"):
        with pytest.raises(TemporaryError, match=rf"phase\.Tallying:{moment}"):
            await state.run(ctx)
    assert (await state.run(ctx)).event is Event.RESULTS_POSTED


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("term", signal.SIGTERM)])
def test_a_signal_is_sent_at_the_place_itself(action: str, number: signal.Signals) -> None:
    reach = "asyncio.run(Armed.parse(sys.argv[1], str).reach('store.upload:done')); print('passed')"
    script = f"import asyncio, sys\nfrom node_fsm_sandbox.failpoints.armed import Armed\n{reach}"
    command = [sys.executable, "-c", script, f"store.upload:done={action}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)
    assert (done.returncode, done.stdout) == (-number, "")
    assert done.stderr == f"failpoint store.upload:done: {action}\n"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("store.uplaod:done=kill", "store.upload:done"),
        ("store.read:before=kill", "is no failpoint"),
        ("store.upload:after=kill", "store.upload:after is no failpoint"),
        ("phase.Running:done=kill", "did you mean phase.Running:before"),
        ("store.upload:done=explode", "must be one of kill, term, error, hang, pause"),
        ("store.upload:done=pause", "needs a file"),
        ("store.upload:done=kill:/tmp/hold", "needs a file"),
        ("store.upload:done@0=kill", "must be NAME[@N or @PHASE]=ACTION"),
        ("store.upload:done@Counting=kill", "Counting is no phase"),
        ("store.upload", "must be NAME[@N or @PHASE]=ACTION"),
    ],
)
def test_what_is_wrong_with_the_setting_is_said(setting: str, said: str) -> None:
    with pytest.raises(PermanentError, match="NODE_FSM_FAILPOINTS: ") as caught:
        armed(setting)
    assert said in caught.value.message


def test_an_effect_elsewhere_is_recorded_with_the_write_that_says_so() -> None:
    assert "store.upload:recorded" not in failpoints()
    with pytest.raises(PermanentError, match=r"database\.save_archive:recorded=pause"):
        armed("store.upload:recorded=pause")


def test_production_refuses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = NODE | {"NODE_FSM_FAILPOINTS": "store.upload:done=kill"}
    assert load_settings(environ, Settings).failpoints == "store.upload:done=kill"
    monkeypatch.setattr(
        "node_fsm.settings.types.find_spec", lambda name: None if "sandbox" in name else find_spec(name)
    )
    (problem,) = problems(environ)
    assert "NODE_FSM_FAILPOINTS='store.upload:done=kill': has the service fail on purpose" in problem
