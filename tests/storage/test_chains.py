"""The local data of elections: found, prepared, adopted, removed, set aside."""

from pathlib import Path

import pytest

from node_fsm.core.view import LocalChain
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.workspace import ChainDirectory, Workspace
from tests.support.fakes import START

HASH, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "storage")


def make_chain(workspace: Workspace, election_id: int, block0_hash: str = HASH) -> ChainDirectory:
    chain = workspace.chain(election_id, block0_hash)
    make_private(chain.path)
    write_private(chain.blocks, b"blocks")
    return chain


def local(election_id: int, block0_hash: str | None = HASH) -> LocalChain:
    return LocalChain(election_id, block0_hash, has_blocks=block0_hash is not None)


def test_nothing_is_found_where_nothing_is(workspace: Workspace) -> None:
    assert workspace.chains() == ()
    assert workspace.set_aside_chains() == ()


def test_chains_and_drafts_are_found(workspace: Workspace) -> None:
    make_chain(workspace, 12)
    make_chain(workspace, 12, OTHER)
    workspace.new_draft(12)
    workspace.new_draft(7)
    workspace.new_draft(8, dry_run=True)
    make_private(workspace.chain(9, HASH).path)
    make_private(workspace.chain(10, HASH).storage)
    make_private(workspace.root / "elections" / "lost+found")
    (workspace.root / "elections" / "11").write_text("no directory")
    assert sorted(workspace.chains(), key=str) == sorted(
        [
            LocalChain(7, None, has_blocks=False),
            LocalChain(8, None, has_blocks=False),
            LocalChain(9, HASH, has_blocks=False),
            LocalChain(10, HASH, has_blocks=True),
            LocalChain(12, HASH, has_blocks=True),
            LocalChain(12, OTHER, has_blocks=True),
        ],
        key=str,
    )


def test_an_empty_directory_of_an_election_is_seen_and_removed(workspace: Workspace) -> None:
    make_private(workspace.root / "elections" / "7")
    (found,) = workspace.chains()
    workspace.remove(found)
    assert workspace.chains() == ()


def test_a_draft_begins_empty(workspace: Workspace) -> None:
    write_private(workspace.new_draft(7).plans / "plan-0.json", b"of an earlier attempt")
    draft = workspace.new_draft(7)
    assert draft == workspace.draft(7)
    assert list(draft.plans.iterdir()) == []


def test_a_dry_run_leaves_the_draft_alone(workspace: Workspace) -> None:
    draft = workspace.new_draft(7)
    write_private(draft.genesis, b"{}")
    dry_run = workspace.new_draft(7, dry_run=True)
    assert dry_run.path != draft.path
    assert not dry_run.genesis.exists()
    assert draft.genesis.exists()


def test_a_draft_becomes_the_chain_made_of_it(workspace: Workspace) -> None:
    write_private(workspace.new_draft(7).block0, b"block 0")
    chain = workspace.adopt_draft(7, HASH)
    assert chain == workspace.chain(7, HASH)
    assert chain.block0.read_bytes() == b"block 0"
    assert workspace.chains() == (LocalChain(7, HASH, has_blocks=False),)


def test_removing_a_chain_keeps_the_others(workspace: Workspace) -> None:
    make_chain(workspace, 7)
    make_chain(workspace, 7, OTHER)
    make_chain(workspace, 8)
    workspace.remove(local(7))
    assert workspace.chains() == (local(7, OTHER), local(8))


def test_the_last_chain_takes_the_drafts_of_its_election_with_it(workspace: Workspace) -> None:
    make_chain(workspace, 7)
    workspace.new_draft(7)
    workspace.new_draft(7, dry_run=True)
    workspace.remove(local(7))
    assert list((workspace.root / "elections").iterdir()) == []


def test_what_is_set_aside_stays(workspace: Workspace) -> None:
    make_chain(workspace, 7)
    workspace.new_draft(7)
    target = workspace.set_aside(local(7), START)
    assert target == workspace.root / "set-aside" / f"7-{HASH[:8]}-20300101T120000Z"
    assert ChainDirectory(target).blocks.read_bytes() == b"blocks"
    assert workspace.chains() == ()
    assert list((workspace.root / "elections").iterdir()) == []


def test_setting_aside_never_replaces_what_was_set_aside(workspace: Workspace) -> None:
    make_chain(workspace, 7)
    target = workspace.set_aside(local(7), START)
    make_chain(workspace, 7)
    with pytest.raises(OSError, match="not empty"):
        workspace.set_aside(local(7), START)
    assert workspace.chains() == (local(7),)
    assert ChainDirectory(target).blocks.exists()


def test_set_aside_chains_come_oldest_first(workspace: Workspace) -> None:
    later, earlier = START.replace(year=2031), START
    make_chain(workspace, 7)
    first = workspace.set_aside(local(7), later)
    make_chain(workspace, 12)
    second = workspace.set_aside(local(12), earlier)
    assert workspace.set_aside_chains() == (second, first)


def test_a_crash_half_way_through_setting_aside_is_made_up_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_chain(workspace, 7)
    workspace.new_draft(7)

    def crash(path: Path, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("node_fsm.storage.workspace.shutil.rmtree", crash)
    with pytest.raises(KeyboardInterrupt):
        workspace.set_aside(local(7), START)
    monkeypatch.undo()
    assert workspace.chains() == (local(7, None),)
    workspace.remove(local(7, None))
    assert workspace.chains() == ()
    assert len(workspace.set_aside_chains()) == 1
