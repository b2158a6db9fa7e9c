"""The store of blocks: one process at a time, and whole after any kill."""

from pathlib import Path

import pytest
from node_fsm_sandbox.node.errors import ExitCode, NodeError
from node_fsm_sandbox.node.store import BlockStore

from tests.sandbox_node.world import BLOCK0, BLOCK0_HASH, block, header

FIRST = block(BLOCK0, 1)
SECOND = block(FIRST, 2)


def filled(directory: Path) -> BlockStore:
    store = BlockStore(directory)
    for raw in (BLOCK0, FIRST, SECOND):
        store.append(header(raw).id, raw)
    return store


def ids(store: BlockStore) -> list[str]:
    return [found.id for found in store.load()]


def test_blocks_stay(tmp_path: Path) -> None:
    filled(tmp_path).close()
    store = BlockStore(tmp_path)
    assert ids(store) == [BLOCK0_HASH, header(FIRST).id, header(SECOND).id]
    assert store.read(header(FIRST).id) == FIRST
    assert header(SECOND).id in store
    assert "ff" * 32 not in store


def test_without_a_directory_they_are_in_memory() -> None:
    store = BlockStore(None)
    assert ids(store) == []
    store.append(BLOCK0_HASH, BLOCK0)
    assert store.read(BLOCK0_HASH) == BLOCK0


def test_half_a_block_is_cut_off(tmp_path: Path) -> None:
    """Wherever in the last block the writing ended; what comes next is whole."""
    filled(tmp_path).close()
    file = tmp_path / "volatile" / "db"
    whole = file.read_bytes()
    for size in range(len(whole) - len(SECOND), len(whole)):
        file.write_bytes(whole[:size])
        store = BlockStore(tmp_path)
        assert ids(store) == [BLOCK0_HASH, header(FIRST).id]
        store.append(header(SECOND).id, SECOND)
        store.close()
        assert file.read_bytes() == whole


def test_damage_is_told(tmp_path: Path) -> None:
    filled(tmp_path).close()
    file = tmp_path / "volatile" / "db"
    data = bytearray(file.read_bytes())
    data[len(BLOCK0) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(NodeError) as caught:
        ids(BlockStore(tmp_path))
    assert caught.value.code == ExitCode.STORAGE


def test_one_process_at_a_time(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with pytest.raises(NodeError, match="Storage error") as caught:
        BlockStore(tmp_path)
    assert caught.value.code == ExitCode.STORAGE
    assert "could not acquire lock on" in str(caught.value)
    store.close()
    BlockStore(tmp_path).close()


def test_a_disk_that_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)

    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_file", Full())
    with pytest.raises(NodeError, match="Storage error") as caught:
        store.append("ff" * 32, FIRST)
    assert "No space left on device (os error 28)" in str(caught.value)
    store.close()
