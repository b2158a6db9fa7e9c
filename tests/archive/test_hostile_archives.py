"""Archives that somebody made to harm who checks them, or to have other results believed."""

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from hashlib import blake2b, sha256
from pathlib import Path

import pytest
import zstandard

from node_fsm.archive.check import Check
from node_fsm.archive.manifest import FileEntry, Manifest, TarEntry
from node_fsm.archive.store import archive_chain
from node_fsm.archive.verify import verify_directory
from node_fsm.chain.blocks import read_blocks
from node_fsm.chain.fragments import FragmentKind
from node_fsm.core.errors import PermanentError
from tests.archive.helpers import PUBLIC, FixedClock, MemoryStore, entry, make_chain, request_of

CHOICE = 6 + 32 + 1 + 1
"""Where in a vote's fragment the choice stands: behind frame, plan id, proposal and payload type."""
CONTENT_HASH, PARENT = slice(18, 50), slice(50, 82)


@pytest.fixture
async def unpacked(tmp_path: Path) -> Path:
    """The files of a whole archive and its manifest."""
    directory = make_chain(tmp_path / "chain")
    store = MemoryStore()
    await archive_chain(store, "s3://bucket", request_of(directory), FixedClock())
    (directory / "manifest.json").write_bytes(
        next(data for uri, data in store.objects.items() if uri.endswith("manifest.json"))
    )
    return directory


def forge(directory: Path, change: Callable[[Manifest], Manifest]) -> None:
    """Another manifest with a true seal."""
    file = directory / "manifest.json"
    file.write_bytes(change(Manifest.parse(file.read_bytes())).render())


async def checks(directory: Path) -> dict[str, Check]:
    return {check.name: check async for check in verify_directory(directory, directory.parent)}


def wrong(found: dict[str, Check]) -> list[str]:
    return [name for name, check in found.items() if not check.ok]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def directory(path: Path) -> None:
    path.mkdir()


THINGS = pytest.mark.parametrize("make", [pipe, link_to_a_device, link_to_itself, directory])


@THINGS
@pytest.mark.parametrize("name", ["manifest.json", "archive.tar.zst"])
async def test_an_object_that_is_no_file_is_refused_at_once(
    unpacked: Path, name: str, make: Callable[[Path], None]
) -> None:
    (unpacked / name).unlink(missing_ok=True)
    make(unpacked / name)
    with pytest.raises(PermanentError) as refusal:
        await checks(unpacked)
    assert refusal.value.reason == "LocalFileUnreadable"
    assert str(unpacked / name) in refusal.value.message


@THINGS
@pytest.mark.parametrize("name", ["block0.bin", "blocks.bin", "node.yaml"])
async def test_a_file_that_is_none_is_wrong_at_once(unpacked: Path, name: str, make: Callable[[Path], None]) -> None:
    (unpacked / name).unlink()
    make(unpacked / name)
    assert wrong(await checks(unpacked)) == [name]


@THINGS
@pytest.mark.parametrize("name", ["block0.bin", "blocks.bin"])
async def test_nor_is_it_looked_at_where_the_manifest_leaves_it_out(
    unpacked: Path, name: str, make: Callable[[Path], None]
) -> None:
    def leave_out(manifest: Manifest) -> Manifest:
        return manifest.model_copy(update={"files": tuple(f for f in manifest.files if f.name != name)})

    forge(unpacked, leave_out)
    (unpacked / name).unlink()
    make(unpacked / name)
    assert wrong(await checks(unpacked)) == [name]


async def test_a_file_of_another_size_is_not_read(unpacked: Path) -> None:
    with (unpacked / "node.yaml").open("wb") as endless:
        endless.truncate(2**42)  # reading it would take an hour
    found = await checks(unpacked)
    assert wrong(found) == ["node.yaml"]
    assert str(2**42) in found["node.yaml"].detail


def with_tar(unpacked: Path, tar: bytes) -> Path:
    """A directory with the objects alone: the manifest, which says what is true of this *tar* as an object."""
    packed = unpacked.parent / "packed"
    packed.mkdir()
    data = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(tar)
    (packed / "archive.tar.zst").write_bytes(data)
    (packed / "manifest.json").write_bytes((unpacked / "manifest.json").read_bytes())
    forge(
        packed,
        lambda manifest: manifest.model_copy(
            update={"tar": TarEntry(name="archive.tar.zst", bytes=len(data), sha256=sha256(data).hexdigest())}
        ),
    )
    return packed


def member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "first",
    [
        member("block0.bin", tarfile.SYMTYPE, "/etc/passwd"),
        member("block0.bin", tarfile.LNKTYPE, "../../outside"),
        member("block0.bin", tarfile.CHRTYPE),
        member("block0.bin", tarfile.FIFOTYPE),
        member("plans", tarfile.DIRTYPE),
        member("/tmp/outside", tarfile.REGTYPE),
        member("../outside", tarfile.REGTYPE),
    ],
    ids=["link", "hard link", "device", "pipe", "directory", "absolute", "parent"],
)
async def test_a_tar_with_anything_but_the_files_is_wrong_and_leaves_nothing(
    unpacked: Path, first: tarfile.TarInfo
) -> None:
    packed = with_tar(unpacked, first.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    before = set(unpacked.parent.iterdir())
    found = await checks(packed)
    assert wrong(found) == ["archive.tar.zst"]
    assert "where the manifest has the header of block0.bin" in found["archive.tar.zst"].detail
    assert set(unpacked.parent.iterdir()) == before


async def test_a_tar_that_grows_beyond_what_the_manifest_says_is_not_unpacked_to_its_end(unpacked: Path) -> None:
    """A gigabyte of zeros, which is 32 kB compressed."""
    data = (unpacked / "block0.bin").read_bytes()
    header = member("block0.bin", tarfile.REGTYPE)
    header.size = len(data)
    start = header.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    bomb = compressor.compress(start) + b"".join(compressor.compress(bytes(2**20)) for _ in range(1024))
    packed = with_tar(unpacked, b"")
    bomb += compressor.flush()
    (packed / "archive.tar.zst").write_bytes(bomb)
    said = TarEntry(name="archive.tar.zst", bytes=len(bomb), sha256=sha256(bomb).hexdigest())
    forge(packed, lambda manifest: manifest.model_copy(update={"tar": said}))
    found = await checks(packed)
    assert wrong(found) == ["archive.tar.zst"]
    assert "where the manifest has" in found["archive.tar.zst"].detail


def split(chain: bytes) -> list[bytes]:
    return [chain[block.offset : block.end] for block in read_blocks(io.BytesIO(chain))]


def another_choice(blocks: Iterable[bytes]) -> tuple[list[bytes], int]:
    """The blocks with one public vote that is for something else, and which of them has it."""
    changed = list(blocks)
    for height, raw in enumerate(changed):
        for fragment in next(read_blocks(io.BytesIO(raw))).fragments():
            if fragment.kind is FragmentKind.VOTE_CAST and fragment.raw[6:38].hex() == PUBLIC.plan_id:
                vote = bytearray(fragment.raw)
                vote[CHOICE] = (vote[CHOICE] + 1) % 2
                changed[height] = raw.replace(fragment.raw, bytes(vote))
                return changed, height
    raise AssertionError("no public vote in the chain")


def hashed(raw: bytes) -> bytes:
    """A signed block whose header is right for its content."""
    block = bytearray(raw)
    content = next(read_blocks(io.BytesIO(raw))).header.content_size
    block[CONTENT_HASH] = blake2b(raw[len(raw) - content :], digest_size=32).digest()
    return bytes(block)


def id_of(raw: bytes) -> str:
    return next(read_blocks(io.BytesIO(raw))).header.id


def linked(blocks: list[bytes], start: int) -> list[bytes]:
    """The blocks from *start* on, each the child of the one before it."""
    chain = blocks[:start]
    for raw in blocks[start:]:
        block = bytearray(raw)
        block[PARENT] = bytes.fromhex(id_of(chain[-1]))
        chain.append(bytes(block))
    return chain


def put(unpacked: Path, blocks: list[bytes], tip: str | None = None) -> None:
    """Have the archive hold these blocks, and its manifest say so."""
    data = b"".join(blocks)
    (unpacked / "blocks.bin").write_bytes(data)

    def change(manifest: Manifest) -> Manifest:
        files: tuple[FileEntry, ...] = tuple(
            entry(file.name, data) if file.name == "blocks.bin" else file for file in manifest.files
        )
        changed = manifest.model_copy(update={"files": files})
        return changed.model_copy(update={"tip": manifest.tip.model_copy(update={"hash": tip})}) if tip else changed

    forge(unpacked, change)


async def test_a_changed_vote_is_found_by_the_hash_of_its_block(unpacked: Path) -> None:
    blocks, _ = another_choice(split((unpacked / "blocks.bin").read_bytes()))
    put(unpacked, blocks)
    found = await checks(unpacked)
    assert wrong(found) == ["blocks.bin"]
    assert "has content of hash" in found["blocks.bin"].detail


async def test_a_changed_block_with_a_right_header_is_found_by_the_next_one(unpacked: Path) -> None:
    blocks, height = another_choice(split((unpacked / "blocks.bin").read_bytes()))
    blocks[height] = hashed(blocks[height])
    put(unpacked, blocks)
    found = await checks(unpacked)
    assert wrong(found) == ["blocks.bin"]
    assert "has the parent" in found["blocks.bin"].detail


async def test_a_chain_that_was_made_anew_from_a_changed_block_is_found_by_its_tip(unpacked: Path) -> None:
    blocks, height = another_choice(split((unpacked / "blocks.bin").read_bytes()))
    blocks[height] = hashed(blocks[height])
    put(unpacked, linked(blocks, height + 1))
    found = await checks(unpacked)
    assert "blocks.bin" in wrong(found)
    assert "the manifest says" in found["blocks.bin"].detail


async def test_and_by_its_count_where_the_manifest_names_the_new_tip(unpacked: Path) -> None:
    blocks, height = another_choice(split((unpacked / "blocks.bin").read_bytes()))
    blocks[height] = hashed(blocks[height])
    chain = linked(blocks, height + 1)
    put(unpacked, chain, tip=id_of(chain[-1]))
    found = await checks(unpacked)
    assert wrong(found) == [f"results of plan {PUBLIC.plan_id}"]
    assert "gives other figures" in found[f"results of plan {PUBLIC.plan_id}"].detail
