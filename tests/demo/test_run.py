"""How a demo ends that does not get to its end: with a sentence, a report, and nothing left."""

import json
from pathlib import Path

import pytest

from node_fsm.sandbox.demo import run
from node_fsm.sandbox.demo.run import Options, run_demo
from node_fsm.sandbox.server import EmbeddedServerError


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
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("  stopped after ")
    assert "this machine cannot hold both elections in 3 minutes; the last that happened was: " in last
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_server_that_cannot_start_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(_: object) -> None:
        raise EmbeddedServerError("Postgres does not serve after 60 s")

    monkeypatch.setattr("node_fsm.sandbox.postgres.EmbeddedPostgres.start", refuse)
    assert run_demo(Options(report=tmp_path / "report.json")) == 1
    assert "  Postgres does not serve after 60 s" in capsys.readouterr().out.splitlines()
    assert json.loads((tmp_path / "report.json").read_text())["elections"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
