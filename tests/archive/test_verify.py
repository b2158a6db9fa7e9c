"""Verification: of an archive in S3, of its two objects in a directory, of its files unpacked, and of none of them."""

import io
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import zstandard
from typer.testing import CliRunner

from node_fsm.archive import verify
from node_fsm.archive.check import Check
from node_fsm.archive.manifest import Manifest
from node_fsm.archive.store import archive_chain
from node_fsm.archive.verify import verify_directory, verify_uri
from node_fsm.cli import app
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind
from node_fsm.s3.store import S3Store
from tests.archive.helpers import (
    ARCHIVED,
    PRIVATE,
    PUBLIC,
    VERSIONS,
    FixedClock,
    MemoryStore,
    entry,
    make_chain,
    request_of,
)
from tests.support.bucket import Bucket

CONTENT = [
    *("block0.bin", "blocks.bin", "vote plans", *(f"results of plan {r.plan_id}" for r in (PUBLIC, PRIVATE))),
    *(f"{what} of plan {PRIVATE.plan_id}" for what in ("encrypted votes", "shares", "decryption")),
]


class Archive(NamedTuple):
    """An archive three times: in a store, its objects in a directory, its files in another."""

    store: MemoryStore
    uri: str
    packed: Path
    unpacked: Path


@pytest.fixture
async def archive(tmp_path: Path) -> Archive:
    store = MemoryStore()
    record = await archive_chain(store, "s3://bucket", request_of(make_chain(tmp_path / "chain")), FixedClock())
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    packed.mkdir()
    for uri, data in store.objects.items():
        (packed / uri.rpartition("/")[2]).write_bytes(data)
    unpack(packed / "archive.tar.zst", unpacked)
    shutil.copy(packed / "manifest.json", unpacked)
    return Archive(store, record.uri, packed, unpacked)


LOST = "record/uncounted-votes.json"


async def archive_with_lost_votes(tmp_path: Path, record: str) -> tuple[list[Check], list[Check]]:
    """What is found in an archive with this record of lost votes, and in its unpacked files."""
    directory, store = make_chain(tmp_path / "chain"), MemoryStore()
    (directory / LOST).write_text(record)
    made = await archive_chain(store, "s3://bucket", request_of(directory), FixedClock())
    (directory / "manifest.json").write_bytes(store.objects[f"{made.uri}/manifest.json"])
    for name in ("scratch", "unpacked"):
        (tmp_path / name).mkdir()
    unpacked = [check async for check in verify_directory(directory, tmp_path / "unpacked")]
    return [check async for check in verify_uri(store, made.uri, tmp_path / "scratch")], unpacked


async def test_votes_that_are_not_counted_are_told(tmp_path: Path) -> None:
    for checks in await archive_with_lost_votes(tmp_path, '[{"weight": 5}, {"weight": 70}]'):
        assert all(check.ok for check in checks)
        said = "2 votes of weight 75, which nodes had accepted in time, are not counted"
        assert Check(LOST, ok=True, detail=said) in checks


@pytest.mark.parametrize("record", ["{", "[1]", '[{"weight": null}]'])
async def test_a_record_of_lost_votes_that_is_none_is_not_trusted(tmp_path: Path, record: str) -> None:
    for checks in await archive_with_lost_votes(tmp_path, record):
        assert [check.name for check in checks if not check.ok] == [LOST]


def unpack(packed: Path, directory: Path) -> None:
    with packed.open("rb") as stream, zstandard.ZstdDecompressor().stream_reader(stream) as content:
        tar = content.read()
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        for member in members:
            file = members.extractfile(member)
            assert file is not None, member  # an archive has nothing but files
            target = directory / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read())


async def outcome(checks: AsyncIterator[Check]) -> dict[str, bool]:
    return {check.name: check.ok async for check in checks}


def forge(archive: Archive, change: Callable[[Manifest], Manifest]) -> None:
    """Put another manifest, with a true seal, in place of the one in all three."""
    manifest = change(Manifest.parse((archive.packed / "manifest.json").read_bytes()))
    archive.store.objects[f"{archive.uri}/manifest.json"] = manifest.render()
    for directory in (archive.packed, archive.unpacked):
        (directory / "manifest.json").write_bytes(manifest.render())


async def outcomes(archive: Archive, scratch: Path) -> list[dict[str, bool]]:
    return [
        await outcome(verify_uri(archive.store, archive.uri, scratch)),
        await outcome(verify_directory(archive.packed, scratch)),
        await outcome(verify_directory(archive.unpacked, scratch)),
    ]


async def test_a_whole_archive_is_found_whole(archive: Archive, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    of_store, of_packed, of_unpacked = await outcomes(archive, scratch)
    assert of_store == of_packed == dict.fromkeys(["manifest.json", "archive.tar.zst", *CONTENT], True)
    assert of_unpacked == dict.fromkeys(["manifest.json", *sorted(ARCHIVED), *CONTENT], True)
    assert list(scratch.iterdir()) == []


async def test_objects_and_files_beside_each_other_are_both_checked(archive: Archive, tmp_path: Path) -> None:
    unpack(archive.packed / "archive.tar.zst", archive.packed)
    found = await outcome(verify_directory(archive.packed, tmp_path))
    assert found.keys() >= {"archive.tar.zst", "node.yaml"}
    (archive.packed / "node.yaml").write_text("changed")
    found = await outcome(verify_directory(archive.packed, tmp_path))
    assert found["archive.tar.zst"]
    assert not found["node.yaml"]


@pytest.mark.parametrize("name", sorted(ARCHIVED))
async def test_a_changed_or_missing_file_is_found(archive: Archive, tmp_path: Path, name: str) -> None:
    file = archive.unpacked / name
    content = file.read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    for wrong in (bytes(changed), content[:-1], content + b"\n", b""):
        file.write_bytes(wrong)
        found = await outcome(verify_directory(archive.unpacked, tmp_path))
        assert [check for check, ok in found.items() if not ok] == [name]
    file.unlink()
    assert not (await outcome(verify_directory(archive.unpacked, tmp_path)))[name]


@pytest.mark.parametrize("name", ["manifest.json", "archive.tar.zst"])
async def test_a_changed_byte_of_an_object_is_found(archive: Archive, tmp_path: Path, name: str) -> None:
    content = (archive.packed / name).read_bytes()
    for position in range(0, len(content), 101):
        changed = bytearray(content)
        changed[position] ^= 1
        (archive.packed / name).write_bytes(changed)
        found = await outcome(verify_directory(archive.packed, tmp_path))
        assert [check for check, ok in found.items() if not ok] == [name], position


async def test_a_sealed_lie_is_found_by_the_blocks(archive: Archive, tmp_path: Path) -> None:
    forge(archive, lambda manifest: manifest.model_copy(update={"block0_hash": "0" * 64}))
    for found in await outcomes(archive, tmp_path):
        assert [check for check, ok in found.items() if not ok] == ["block0.bin", "blocks.bin"]


async def test_a_file_left_out_of_the_manifest_is_found(archive: Archive, tmp_path: Path) -> None:
    forge(archive, lambda manifest: manifest.model_copy(update={"files": manifest.files[:-1]}))
    for found in (await outcomes(archive, tmp_path))[:2]:
        assert not found["archive.tar.zst"]


async def test_nothing_is_claimed_of_salvaged_blocks(tmp_path: Path) -> None:
    chain = make_chain(tmp_path / "chain")
    (chain / "blocks.bin").write_bytes(b"torn")
    store = MemoryStore()
    request = request_of(chain, kind=ArchiveKind.SALVAGE, results=None)
    record = await archive_chain(store, "s3://bucket", request, FixedClock())
    found = await outcome(verify_uri(store, record.uri, tmp_path))
    assert found == {"manifest.json": True, "archive.tar.zst": True, "block0.bin": True}


async def test_a_chain_without_room_is_not_unpacked(archive: Archive, tmp_path: Path) -> None:
    huge = entry("blocks.bin", b"").model_copy(update={"bytes": 2**60})

    def enlarge(manifest: Manifest) -> Manifest:
        return manifest.model_copy(
            update={"files": tuple(huge if file.name == huge.name else file for file in manifest.files)}
        )

    forge(archive, enlarge)
    with pytest.raises(PermanentError, match="TMPDIR") as caught:
        await outcome(verify_uri(archive.store, archive.uri, tmp_path))
    assert caught.value.reason == "NoRoomToVerify"


async def test_a_manifest_without_end_is_not_read(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MAX_MANIFEST_BYTES", 100)
    assert await outcome(verify_directory(archive.packed, tmp_path)) == {"manifest.json": False}


class TestCommand:
    """``node-fsm verify``."""

    def run(self, target: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["verify", str(target)])
        return result.exit_code, result.output

    def test_a_whole_directory(self, archive: Archive) -> None:
        for directory in (archive.packed, archive.unpacked):
            code, output = self.run(directory)
            assert code == 0
            assert "FAILED" not in output
            assert f"ok      results of plan {PUBLIC.plan_id}" in output
            assert output.endswith(f"{directory} is whole\n")

    def test_an_archive_of_stand_ins_is_said_to_be_one(self, archive: Archive) -> None:
        assert "stand-ins" not in self.run(archive.packed)[1]
        versions = VERSIONS.model_copy(update={"jcli": "jcli 0.13.0 (sandbox)"})
        forge(archive, lambda manifest: manifest.model_copy(update={"versions": versions}))
        assert (
            " on stand-ins (jcli 0.13.0 (sandbox) jormungandr 0.15.0): no real election\n"
            in self.run(archive.packed)[1]
        )

    def test_a_damaged_directory(self, archive: Archive) -> None:
        (archive.unpacked / "blocks.bin").write_bytes(b"")
        code, output = self.run(archive.unpacked)
        assert code == 1
        assert "FAILED  blocks.bin" in output
        assert output.endswith("is NOT to be trusted\n")

    def test_no_archive(self, tmp_path: Path) -> None:
        code, output = self.run(tmp_path)
        assert code == 3
        assert "manifest.json" in output

    @pytest.mark.parametrize("end", ["", "/", "/manifest.json"])
    def test_an_archive_in_s3(self, uri_in_s3: str, end: str) -> None:
        code, output = self.run(uri_in_s3 + end)
        assert code == 0
        assert output.endswith(f"{uri_in_s3} is whole\n")

    def test_no_archive_in_s3(self, uri_in_s3: str) -> None:
        code, output = self.run(f"{uri_in_s3}-2")
        assert code == 3
        assert f"{uri_in_s3}-2/manifest.json" in output

    def test_wrong_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NODE_FSM_S3_ENDPOINT_URL", "nonsense")
        code, output = self.run("s3://bucket/key")
        assert code == 2
        assert "NODE_FSM_S3_ENDPOINT_URL" in output

    @pytest.fixture
    async def uri_in_s3(self, tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("NODE_FSM_S3_ENDPOINT_URL", s3_bucket.endpoint_url)
        store = S3Store(s3_bucket.endpoint_url)
        request = request_of(make_chain(tmp_path))
        record = await archive_chain(store, f"s3://{s3_bucket.name}", request, FixedClock())
        await store.close()
        return record.uri
