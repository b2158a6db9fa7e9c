"""The tar: the same files make the same bytes, and nothing but these bytes is accepted."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.archive import tarball
from node_fsm.archive.manifest import FileEntry
from node_fsm.archive.tarball import DamagedError, Packer, TarballCheck, measure
from node_fsm.core.errors import PermanentError, TemporaryError
from tests.archive.helpers import entry, manifest_of

FILES = {
    "block0.bin": bytes(range(256)) * 10,
    "blocks.bin": os.urandom(3_000_000),
    "record/empty.json": b"",
    "record/stats.json": b"x" * 512,
}


def fill(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


def pack(directory: Path, names: list[str]) -> tuple[bytes, Packer]:
    packer = Packer(directory, names)
    return b"".join(packer.pieces()), packer


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pack(fill(tmp_path_factory.mktemp("chain"), FILES), sorted(FILES))[0]


def compressed(tar: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(tar)


def uncompressed(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def check(packed: bytes, files: dict[str, bytes], *, step: int = 10_000) -> None:
    """Check *packed* against a manifest that names it truly and claims that it holds *files*."""
    manifest = manifest_of(packed, files)
    checked = TarballCheck(manifest.tar, manifest.files, {})
    for start in range(0, len(packed), step):
        checked.feed(packed[start : start + step])
    checked.finish()


def damage(packed: bytes, files: dict[str, bytes]) -> str:
    with pytest.raises(DamagedError) as caught:
        check(packed, files)
    return str(caught.value)


def test_other_programs_read_it(packed: bytes, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(uncompressed(packed))) as tar:
        members = {member.name: member for member in tar}
        assert {name: tar.extractfile(member).read() for name, member in members.items()} == FILES  # type: ignore[union-attr] # all are files
    assert {(member.mode, member.uid, member.gid, member.mtime) for member in members.values()} == {(0o644, 0, 0, 0)}
    (tmp_path / "a.tar").write_bytes(uncompressed(packed))
    assert subprocess.run(["tar", "tf", tmp_path / "a.tar"], capture_output=True, check=True).stderr == b""


def test_the_same_files_make_the_same_bytes(packed: bytes, tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    for path in tmp_path.rglob("*.*"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    again, packer = pack(tmp_path, sorted(FILES))
    assert again == packed
    assert packer.entry == manifest_of(packed, FILES).tar
    assert packer.files == measure(tmp_path, sorted(FILES)) == manifest_of(packed, FILES).files


def test_a_header_fits_one_block_whatever_the_size(tmp_path: Path) -> None:
    name, size = "blocks.bin", 2**40
    with (tmp_path / name).open("wb") as file:
        file.truncate(size)
    header = next(iter(Packer(tmp_path, [name]).tar()))
    assert len(header) == tarfile.BLOCKSIZE
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").size == size


@pytest.mark.parametrize("new_size", [0, 2_000_000, 4_000_000])
def test_a_file_that_changes_while_it_is_packed(tmp_path: Path, new_size: int) -> None:
    fill(tmp_path, {"blocks.bin": bytes(3_000_000)})
    reading = Packer(tmp_path, ["blocks.bin"]).tar()
    next(reading), next(reading)
    os.truncate(tmp_path / "blocks.bin", new_size)
    with pytest.raises(TemporaryError, match=r"blocks\.bin changed"):
        list(reading)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocks.bin").mkdir()
    (tmp_path / "node.yaml").symlink_to("/etc/passwd")
    for name, why in (("blocks.bin", "no ordinary"), ("node.yaml", "no ordinary"), ("block0.bin", "cannot be read")):
        with pytest.raises(PermanentError, match=rf"{name} .*{why}"):
            pack(tmp_path, [name])


@given(cuts=st.lists(st.integers(0, 4000), max_size=20))
def test_it_may_come_in_any_pieces(cuts: list[int]) -> None:
    files = {"block0.bin": bytes(range(200)) * 7, "record/empty.json": b"", "record/stats.json": b"y" * 512}
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as writing:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            writing.addfile(member, io.BytesIO(content))
    end = sum(512 + -(-len(content) // 512) * 512 for content in files.values()) + 1024
    packed = compressed(tar.getvalue()[:end])
    manifest = manifest_of(packed, files)
    copy = io.BytesIO()
    checked = TarballCheck(manifest.tar, manifest.files, {"block0.bin": copy})
    edges = [0, *sorted(min(cut, len(packed)) for cut in cuts), len(packed)]
    for start, end in pairwise(edges):
        checked.feed(packed[start:end])
    checked.finish()
    assert copy.getvalue() == files["block0.bin"]


def test_every_changed_byte_of_the_object_is_found(packed: bytes) -> None:
    manifest = manifest_of(packed, FILES)
    for position in [*range(200), *range(200, len(packed), 99_991), *range(len(packed) - 200, len(packed))]:
        changed = bytearray(packed)
        changed[position] ^= 1
        checked = TarballCheck(manifest.tar, manifest.files, {})
        with pytest.raises(DamagedError):  # noqa: PT012 - at the piece, or at the end
            checked.feed(bytes(changed))
            checked.finish()


def test_every_changed_byte_of_the_tar_is_found() -> None:
    files = {"block0.bin": b"block", "node.yaml": b""}
    tar = b"".join(_tar(files))
    check(compressed(tar), files)
    for position in range(len(tar)):
        changed = bytearray(tar)
        changed[position] ^= 1
        assert damage(compressed(bytes(changed)), files)


def _tar(files: dict[str, bytes]) -> Iterator[bytes]:
    for name, content in files.items():
        member = tarfile.TarInfo(name)
        member.size = len(content)
        yield member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)
    yield bytes(1024)


@pytest.mark.parametrize("cut", [0, 1, 20, 1000, -20, -4, -1])
def test_an_object_cut_short_is_found(packed: bytes, cut: int) -> None:
    assert damage(packed[:cut], FILES)
    manifest = manifest_of(packed, FILES)
    checked = TarballCheck(manifest.tar, manifest.files, {})
    checked.feed(packed[:cut])
    with pytest.raises(DamagedError, match=f"{len(packed[:cut])} bytes, the manifest says {len(packed)}"):
        checked.finish()


@pytest.mark.parametrize("more", [b"\0", b"garbage, and more of it", compressed(b"more"), compressed(bytes(512))])
def test_an_object_that_goes_on_is_found(packed: bytes, more: bytes) -> None:
    assert damage(packed + more, FILES)


def test_a_missing_and_an_additional_file_are_found(packed: bytes) -> None:
    assert damage(packed, {name: FILES[name] for name in sorted(FILES)[:-1]})
    assert damage(packed, FILES | {"record/z.json": b""})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_is_refused(kind: bytes) -> None:
    member = tarfile.TarInfo("node.yaml")
    member.type, member.linkname = kind, "/etc/passwd"
    assert "header of node.yaml" in damage(compressed(member.tobuf() + bytes(1024)), {"node.yaml": b""})


@pytest.mark.parametrize("name", ["../node.yaml", "/tmp/node.yaml", "record/../../node.yaml"])
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    tar = b"".join(_tar({name: b"data"}))
    assert "header of node.yaml" in damage(compressed(tar), {"node.yaml": b"data"})


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"node.yaml": b"data"}
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    zeros = bytes(2**24)
    bomb = compressor.compress(b"".join(_tar(files)))
    bomb += b"".join(compressor.compress(zeros) for _ in range(128)) + compressor.flush()
    decompressed, write = 0, tarball._TarCheck.write

    def counted(check: tarball._TarCheck, data: bytes) -> int:
        nonlocal decompressed
        decompressed += len(data)
        return write(check, data)

    monkeypatch.setattr(tarball._TarCheck, "write", counted)
    process = psutil.Process()
    before = process.memory_info().rss
    assert "goes on after its end" in damage(bomb, files)
    assert process.memory_info().rss - before < 2**25
    assert 0 < decompressed < 2**24


def test_a_window_that_takes_much_memory_is_refused() -> None:
    files = {"blocks.bin": os.urandom(1000) * 20_000}
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=25)
    tar = b"".join(_tar(files))
    greedy = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert "decompressed" in damage(greedy.compress(tar) + greedy.flush(), files)


def test_measuring_reads_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    assert measure(tmp_path, ["blocks.bin"]) == (entry("blocks.bin", FILES["blocks.bin"]),)
    assert measure(tmp_path, []) == ()
    assert isinstance(measure(tmp_path, ["record/empty.json"])[0], FileEntry)
