"""Who waits is told how far it is: by a bar on a terminal, by lines elsewhere, and not at all when it is quick."""

import time

import pytest

from node_fsm.cli import progress
from node_fsm.cli.progress import progress_stages


def test_what_is_quick_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_stages() as stage:
        stage("reading")(1, 2)
    assert capsys.readouterr().err == ""


def test_what_takes_long_is_told_in_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress_stages() as stage:
        stage("reading\x1b")(1, 3)
        time.sleep(0.5)
        stage("writing")(0, 0)
        time.sleep(0.5)
    assert capsys.readouterr().err == "reading\\x1b: 33 %\nwriting …\n"
