"""Who may use the service's directory, who may read it, and how its files are written."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from node_fsm.core.errors import PermanentError
from node_fsm.core.view import LocalChain
from node_fsm.storage.files import make_private, write_private
from node_fsm.storage.workspace import Workspace
from tests.support.fakes import START
from tests.support.polling import HANGING

HASH = "ab" * 32


@pytest.fixture(autouse=True)
def permissive_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def hold(root: Path, holding: Event, release: Event) -> None:
    with Workspace(root).exclusively():
        holding.set()
        release.wait(HANGING)


def test_a_second_service_is_refused_until_the_first_process_is_gone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    holding, release = context.Event(), context.Event()
    first = context.Process(target=hold, args=(tmp_path / "storage", holding, release))
    first.start()
    try:
        assert holding.wait(HANGING)
        second = Workspace(tmp_path / "storage")
        with pytest.raises(PermanentError) as refusal, second.exclusively():
            raise AssertionError("two services use one directory")
        assert refusal.value.reason == "StorageInUse"
        assert str(tmp_path / "storage") in refusal.value.message
        assert "NODE_FSM_STORAGE_DIR" in refusal.value.message
    finally:
        first.kill()  # however it ends
        first.join(HANGING)
    with second.exclusively():
        pass


def a_file(root: Path) -> Path:
    root.write_text("no directory")
    return root


def below_a_file(root: Path) -> Path:
    root.write_text("no directory")
    return root / "storage"


def in_proc(_: Path) -> Path:
    return Path("/proc/node-fsm")


def with_a_directory_as_lock(root: Path) -> Path:
    (root / "lock").mkdir(parents=True)
    return root


@pytest.mark.parametrize("make", [a_file, below_a_file, in_proc, with_a_directory_as_lock])
def test_a_directory_that_cannot_be_used_is_said_to_be_one(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    workspace = Workspace(make(tmp_path / "root"))
    with pytest.raises(PermanentError) as refusal, workspace.exclusively():
        raise AssertionError("it cannot be used")
    assert refusal.value.reason == "DiskUnusable"
    assert "NODE_FSM_STORAGE_DIR" in refusal.value.message
    assert str(workspace.root) in refusal.value.message


def test_so_is_one_whose_name_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    with pytest.raises(PermanentError, match="NODE_FSM_STORAGE_DIR") as refusal:
        _ = Workspace(tmp_path).instance
    assert refusal.value.reason == "DiskUnusable"


def test_so_is_one_whose_name_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "instance").write_bytes(b"\xff\xfe")
    with pytest.raises(PermanentError, match="NODE_FSM_STORAGE_DIR") as refusal:
        _ = Workspace(tmp_path).instance
    assert refusal.value.reason == "DiskUnusable"


def use_without_rights(root: Path, told: "Queue[str]") -> None:
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        with Workspace(root).exclusively():
            told.put("it was used")
    except PermanentError as error:
        told.put(error.reason)


@pytest.mark.parametrize("missing", ["root", "lock"])
def test_and_one_that_this_user_may_not_write_into(missing: str) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # so that another user gets there
        root = Path(name) / "root"
        root.mkdir(mode=0o755)
        if missing == "lock":
            (root / "set-aside").mkdir(mode=0o755)
        root.chmod(0o555)
        told: Queue[str] = multiprocessing.get_context("fork").Queue()
        other = multiprocessing.get_context("fork").Process(target=use_without_rights, args=(root, told))
        other.start()
        assert told.get(timeout=HANGING) == "DiskUnusable"
        other.join(HANGING)
        root.chmod(0o755)


def without_a_directory(tmp_path: Path) -> dict[str, str]:
    """The settings of a service that cannot begin."""
    (tmp_path / "root").write_text("no directory")
    return {
        "NODE_FSM_STORAGE_DIR": str(tmp_path / "root"),
        "NODE_FSM_ROLE": "node",
        "NODE_FSM_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:1/none",
        "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": "/ip4/127.0.0.1/tcp/1",
        "NODE_FSM_BLOCK0_TEMPLATE": str(Path(__file__).parents[2] / "block0_template.yaml"),
    }


def run(environment: dict[str, str], stderr: int) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", "from node_fsm.__main__ import main; main()", "run"]
    return subprocess.run(command, env=os.environ | environment, stderr=stderr, timeout=HANGING, check=False)


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_service_without_a_directory_ends_in_words(tmp_path: Path, format_: str) -> None:
    """The last that it says is in the form of its log too, and not a traceback."""
    done = run(without_a_directory(tmp_path) | {"NODE_FSM_LOG_FORMAT": format_}, subprocess.PIPE)
    assert done.returncode == 3, done.stderr
    (said,) = done.stderr.decode().splitlines()
    assert "DiskUnusable" in said
    if format_ == "json":
        assert json.loads(said)["level"] == "CRITICAL"


def test_a_service_ends_though_nobody_reads_its_log(tmp_path: Path) -> None:
    reader, end = os.pipe()
    try:
        os.set_blocking(end, False)
        with suppress(BlockingIOError):
            while True:
                os.write(end, bytes(4096))
        with suppress(BlockingIOError):
            while True:
                os.write(end, b"x")
        os.set_blocking(end, True)
        assert run(without_a_directory(tmp_path), end).returncode == 3
    finally:
        os.close(reader)
        os.close(end)


def test_the_lock_can_be_taken_again_in_one_process(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for _ in range(2):
        with workspace.exclusively():
            pass


def test_the_instance_is_a_name_of_the_directory(tmp_path: Path) -> None:
    name = Workspace(tmp_path).instance
    assert len(name) == 32
    assert Workspace(tmp_path).instance == name
    (tmp_path / "other").mkdir()
    assert Workspace(tmp_path / "other").instance != name


def test_a_pipe_in_the_place_of_the_instance_does_not_hang_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "instance")
    with pytest.raises(PermanentError, match="no ordinary file"):
        _ = Workspace(tmp_path).instance


def test_everything_is_readable_by_this_user_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "not" / "yet" / "there")
    with workspace.exclusively():
        assert workspace.instance
        draft = workspace.new_draft(7)
        write_private(draft.genesis, b"{}")
        write_private(draft.plans / "plan-0.json", b"{}")
        chain = workspace.adopt_draft(7, HASH)
        make_private(chain.record)
        workspace.new_draft(8)
        workspace.adopt_draft(8, HASH)
        workspace.set_aside(LocalChain(8, HASH, has_blocks=True), START)
    found = [tmp_path / "not", *(tmp_path / "not").rglob("*")]
    assert len(found) > 10
    assert {path: oct(mode(path)) for path in found if path.is_dir() and mode(path) != 0o700} == {}
    assert {path: oct(mode(path)) for path in found if path.is_file() and mode(path) != 0o600} == {}


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_private(file, b"before")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("node_fsm.storage.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_private(file, b"after")
    assert file.read_bytes() == b"before"
    monkeypatch.undo()
    write_private(file, b"after, and longer")
    assert file.read_bytes() == b"after, and longer"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
