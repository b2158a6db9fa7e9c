"""What must work when the disk takes nothing more."""

import builtins
import os
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from node_fsm.core.view import LocalChain
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.workspace import Workspace
from tests.support.fakes import START

HASH = "ab" * 32


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "storage")
    with workspace.exclusively():  # as at the service's start, when there was room
        chain = workspace.chain(7, HASH)
        make_private(chain.storage)
        write_private(chain.blocks, b"blocks")
        write_private(workspace.new_draft(8).genesis, b"{}")
    return workspace


@pytest.fixture
def full_disk(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No new file, directory or byte."""

    def refuse(path: Any, *_: Any, **__: Any) -> None:
        if os.path.lexists(path):
            raise FileExistsError(path)
        raise OSError(ENOSPC, os.strerror(ENOSPC), str(path))

    open_ = builtins.open

    def refuse_writing(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if set(mode) & set("wax+"):
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(file))
        return open_(file, mode, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr("io.open", refuse_writing)
    yield
    monkeypatch.undo()


def test_the_disk_is_full(workspace: Workspace, full_disk: None) -> None:
    with pytest.raises(OSError, match="No space left"):
        workspace.new_draft(9)


def test_a_chain_is_set_aside_on_a_full_disk(workspace: Workspace, full_disk: None) -> None:
    target = workspace.set_aside(LocalChain(7, HASH, has_blocks=True), START)
    assert (target / "blocks.bin").read_bytes() == b"blocks"
    assert [chain.election_id for chain in workspace.chains()] == [8]


def test_chains_are_removed_on_a_full_disk(workspace: Workspace, full_disk: None) -> None:
    for chain in workspace.chains():
        workspace.remove(chain)
    assert workspace.chains() == ()
