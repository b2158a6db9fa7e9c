"""How a demo ends that does not get to its end: with a sentence, a report, and nothing left."""

import asyncio
import errno
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from node_fsm_sandbox.demo import run
from node_fsm_sandbox.demo.moment import Moment
from node_fsm_sandbox.demo.performance import Performance
from node_fsm_sandbox.demo.run import Options, run_demo
from node_fsm_sandbox.servers.server import EmbeddedServerError

from node_fsm.core.phases import Phase
from tests.demo.examples import node, state
from tests.demo.process import DemoProcess
from tests.support.drawn import NOW
from tests.support.polling import HANGING


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tests' own environment is as isolated as can be, and stays as it is."""
    monkeypatch.setattr(run, "isolate", lambda environ: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_machine_that_is_too_slow_is_told_so_with_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "LIMIT", 3.0)
    assert run_demo(Options(report=tmp_path / "report.json")) == 1
    *_, heading, last = capsys.readouterr().out.splitlines()
    assert heading.startswith("the demo stopped after ")
    assert last.startswith("  this machine cannot hold both elections in 10 minutes; the last that happened was: start")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_server_that_cannot_start_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(_: object) -> None:
        raise EmbeddedServerError("Postgres does not serve after 60 s")

    monkeypatch.setattr("node_fsm_sandbox.servers.postgres.EmbeddedPostgres.start", refuse)
    assert run_demo(Options(report=tmp_path / "report.json")) == 1
    assert "  Postgres does not serve after 60 s" in capsys.readouterr().out.splitlines()
    assert json.loads((tmp_path / "report.json").read_text())["elections"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def perform(monkeypatch: pytest.MonkeyPatch, work: Callable[[Performance], Awaitable[None]]) -> None:
    """Have the demo do this alone."""
    monkeypatch.setattr(Performance, "run", work)


def test_what_complains_at_the_limit_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def dawdle(performance: Performance) -> None:
        held = (("sandbox", "SandboxBinaries"), ("work_failing", "S3Unavailable"))
        performance._display.show(Moment(NOW, (node(state(Phase.RUNNING, "first", held)), node(None)), None))
        await asyncio.Event().wait()

    monkeypatch.setattr(run, "LIMIT", 0.1)
    perform(monkeypatch, dawdle)
    assert run_demo(Options()) == 1
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith("; conditions that hold: leader0: work_failing, S3Unavailable")
    )


def test_what_the_system_refuses_is_told_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fill_the_disk(_: Performance) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "ballots.csv")

    perform(monkeypatch, fill_the_disk)
    assert run_demo(Options(report=tmp_path / "report.json")) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "  [Errno 28] No space left on device: 'ballots.csv'"
    assert json.loads((tmp_path / "report.json").read_text())["jcli_version"].startswith("jcli ")


def test_an_earlier_report_does_not_outlive_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(_: Performance) -> None:
        found.append(json.loads(file.read_text()))

    file = tmp_path / "kept" / "mine.json"
    found: list[object] = []
    perform(monkeypatch, look)
    assert run_demo(Options(report=file, keep=tmp_path / "kept")) == 0
    assert found == [{"ok": False}]
    assert json.loads(file.read_text()) == json.loads(file.with_name("report.json").read_text())
    assert json.loads(file.read_text())["ok"] is True
    assert run_demo(Options(report=file, jcli=tmp_path)) == 2
    assert json.loads(file.read_text()) == {"ok": False}


@pytest.mark.parametrize("lost", ["mine.json", "kept/report.json"])
def test_a_report_that_cannot_be_written_at_the_end_loses_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    async def spoil(_: Performance) -> None:
        (tmp_path / lost).unlink(missing_ok=True)
        (tmp_path / lost).mkdir()

    perform(monkeypatch, spoil)
    reports = [tmp_path / "mine.json", tmp_path / "kept" / "report.json"]
    assert run_demo(Options(report=reports[0], keep=tmp_path / "kept")) == 1
    output = capsys.readouterr().out
    assert output.index("Results") < output.index("1 did not match")
    assert output.splitlines()[-1] == f"  {tmp_path / lost} cannot be written: Is a directory"
    (other,) = [file for file in reports if file != tmp_path / lost]
    assert "ok" in json.loads(other.read_text())


@pytest.mark.parametrize(("name", "command"), [("S3", "node_fsm_sandbox.servers.s3"), ("Postgres", "bin/postgres")])
def test_a_server_that_dies_is_named_and_not_the_machine(tmp_path: Path, name: str, command: str) -> None:
    with DemoProcess(tmp_path) as demo:
        demo.wait_for("two elections are imported")
        for process in psutil.Process(demo.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # Postgres has processes that come and go
                if any(command in argument for argument in process.cmdline()[:3]):
                    process.kill()
                    break
        assert demo.process.wait(HANGING) == 1
        assert f"  {name} ended by itself with exit code -9; the end of its log:\n" in demo.output
        assert demo.left() == []
