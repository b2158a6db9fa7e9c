"""archive_chain: what it makes, and that it ends the same wherever it was interrupted."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import pytest

from node_fsm.archive.contents import files_to_archive
from node_fsm.archive.manifest import Election, Manifest, results_hash
from node_fsm.archive.store import MAX_RUNS, archive_chain
from node_fsm.archive.tarball import measure
from node_fsm.archive.verify import check_tar
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import ArchiveKind
from node_fsm.s3.store import S3Store
from tests.archive.helpers import (
    ARCHIVED,
    ELECTION,
    PRIVATE,
    PUBLIC,
    TIP,
    VERSIONS,
    FixedClock,
    MemoryStore,
    block0_hash,
    make_chain,
    request_of,
)
from tests.s3.helpers import unfinished_uploads
from tests.support.bucket import Bucket
from tests.support.polling import HANGING

ROOT = "s3://bucket/archives"
FIRST = f"{ROOT}/12-fund_9__/{block0_hash()}/final-{TIP.hash[:16]}"
CLOCK = FixedClock()


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    return make_chain(tmp_path / "chain")


async def assert_holds(store: MemoryStore, uri: str, directory: Path) -> Manifest:
    """The archive at *uri* is complete and holds the files of *directory*."""
    manifest = Manifest.parse(store.objects[f"{uri}/manifest.json"])
    assert manifest.files == measure(directory, files_to_archive(directory))
    await check_tar(manifest, store.download(f"{uri}/archive.tar.zst"), {})
    return manifest


async def test_an_archive_says_what_it_holds(chain: Path) -> None:
    store = MemoryStore()
    record = await archive_chain(store, f"{ROOT}/", request_of(chain, notes=("a note",)), CLOCK)
    assert store.objects.keys() == {f"{FIRST}/archive.tar.zst", f"{FIRST}/manifest.json"}
    tar = store.objects[f"{FIRST}/archive.tar.zst"]
    assert (record.uri, record.run_id, record.kind) == (FIRST, FIRST.rpartition("/")[2], ArchiveKind.FINAL)
    assert (record.election_id, record.election_name) == (ELECTION.id, ELECTION.name)
    assert (record.block0_hash, record.tip_hash) == (block0_hash(), TIP.hash)
    assert (record.sha256, record.bytes) == (sha256(tar).hexdigest(), len(tar))
    assert record.manifest.encode() == store.objects[f"{FIRST}/manifest.json"]
    assert record.verified_at == CLOCK.now()

    manifest = await assert_holds(store, FIRST, chain)
    assert {file.name for file in manifest.files} == ARCHIVED
    said = json.loads(record.manifest)
    assert said["results"][0] == {
        "plan_id": PUBLIC.plan_id,
        "votes": [[0, 35, 300], [15, 0]],
        "fragment_id": PUBLIC.fragment_id,
        "on_chain": True,
    }
    assert said["results_hash"] == results_hash((PUBLIC, PRIVATE))
    assert said["tip"] == {"hash": TIP.hash, "date": "0.13", "height": 13}
    assert said["versions"] == VERSIONS.model_dump()
    assert (said["kind"], said["fingerprint"], said["untallied"]) == ("final", "v1:abc", None)
    assert (said["created_at"], said["notes"]) == ("2026-02-03T04:05:06+00:00", ["a note"])


async def test_archiving_again_changes_nothing(chain: Path) -> None:
    store = MemoryStore()
    first = await archive_chain(store, ROOT, request_of(chain), CLOCK)
    before = dict(store.objects)
    newer = VERSIONS.model_copy(update={"service": "2.0.0"})
    assert await archive_chain(store, ROOT, request_of(chain, versions=newer), CLOCK) == first
    assert store.objects == before


class Interrupted(Exception):  # noqa: N818 - not an error: what a crash looks like
    """The process ended here."""


class CrashingStore(MemoryStore):
    """Ends the process at one point: its calls have two each, before and after their effect, an upload a third."""

    def __init__(self, crash_at: int) -> None:
        super().__init__()
        self.points = 0
        self.crash_at = crash_at

    def _point(self) -> None:
        self.points += 1
        if self.points == self.crash_at:
            raise Interrupted

    async def read(self, uri: str, limit: int) -> bytes:
        self._point()
        data = await super().read(uri, limit)
        self._point()
        return data

    async def write_once(self, uri: str, data: bytes) -> bool:
        self._point()
        written = await super().write_once(uri, data)
        self._point()
        return written

    async def upload(self, uri: str, chunks: AsyncIterator[bytes]) -> None:
        self._point()
        await super().upload(uri, self._crashing(chunks))
        self._point()

    async def end_uploads(self, prefix: str, begun_before: datetime) -> int:
        self._point()
        ended = await super().end_uploads(prefix, begun_before)
        self._point()
        return ended

    async def download(self, uri: str) -> AsyncIterator[bytes]:
        self._point()
        async for chunk in super().download(uri):
            yield chunk
        self._point()

    async def _crashing(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
        self._point()


async def test_any_crash_is_made_good_by_another_try(chain: Path) -> None:
    crash_at = 0
    runs = set()
    while True:
        crash_at += 1
        store = CrashingStore(crash_at)
        try:
            await archive_chain(store, ROOT, request_of(chain), CLOCK)
            break
        except Interrupted:
            left = dict(store.objects)
        record = await archive_chain(store, ROOT, request_of(chain), CLOCK)
        await assert_holds(store, record.uri, chain)
        runs.add(record.run_id)
        committed = [uri for uri in store.objects if uri.endswith("manifest.json")]
        assert committed == [f"{record.uri}/manifest.json"]
        assert left.items() <= store.objects.items()
        assert await archive_chain(store, ROOT, request_of(chain), CLOCK) == record
    assert crash_at > 10
    assert runs == {f"final-{TIP.hash[:16]}", f"final-{TIP.hash[:16]}-2"}


async def test_a_tar_without_a_manifest_is_left_alone(chain: Path) -> None:
    store = MemoryStore()
    store.objects[f"{FIRST}/archive.tar.zst"] = b"of a crash"
    record = await archive_chain(store, ROOT, request_of(chain), CLOCK)
    assert record.uri == f"{FIRST}-2"
    assert store.objects[f"{FIRST}/archive.tar.zst"] == b"of a crash"


@pytest.mark.parametrize("name", ["archive.tar.zst", "manifest.json"])
@pytest.mark.parametrize("damage", [lambda data: b"x" + data[1:], lambda data: data[:-1], lambda _: b""])
async def test_a_damaged_archive_is_left_alone_and_another_made(chain: Path, name: str, damage: Any) -> None:
    store = MemoryStore()
    await archive_chain(store, ROOT, request_of(chain), CLOCK)
    store.objects[f"{FIRST}/{name}"] = damaged = damage(store.objects[f"{FIRST}/{name}"])
    record = await archive_chain(store, ROOT, request_of(chain), CLOCK)
    assert record.uri == f"{FIRST}-2"
    await assert_holds(store, record.uri, chain)
    assert store.objects[f"{FIRST}/{name}"] == damaged


async def test_a_lost_tar_makes_another_archive(chain: Path) -> None:
    store = MemoryStore()
    await archive_chain(store, ROOT, request_of(chain), CLOCK)
    del store.objects[f"{FIRST}/archive.tar.zst"]
    assert (await archive_chain(store, ROOT, request_of(chain), CLOCK)).uri == f"{FIRST}-2"


@pytest.mark.parametrize(
    "change",
    [
        {"results": None, "untallied": "a share is missing"},
        {"results": (PUBLIC, replace(PRIVATE, fragment_id=None, on_chain=False))},
        {"election": Election(id=13, name=ELECTION.name)},
        {"kind": ArchiveKind.SUPERSEDED},
    ],
)
async def test_what_says_something_else_is_another_archive(chain: Path, change: dict[str, Any]) -> None:
    store = MemoryStore()
    first = await archive_chain(store, ROOT, request_of(chain), CLOCK)
    second = await archive_chain(store, ROOT, request_of(chain, **change), CLOCK)
    assert second.uri != first.uri
    for record in (first, second):
        await assert_holds(store, record.uri, chain)


async def test_changed_files_make_another_archive(chain: Path) -> None:
    store = MemoryStore()
    await archive_chain(store, ROOT, request_of(chain), CLOCK)
    (chain / "record" / "late.json").write_text("{}")
    record = await archive_chain(store, ROOT, request_of(chain), CLOCK)
    assert record.uri == f"{FIRST}-2"
    await assert_holds(store, record.uri, chain)


async def test_another_writer_may_be_first_with_the_manifest(chain: Path, tmp_path: Path) -> None:
    """Both have uploaded; whose manifest comes second finds the other's and makes an archive of its own."""

    class Overtaken(MemoryStore):
        async def write_once(self, uri: str, data: bytes) -> bool:
            self.objects.setdefault(uri, others)
            return await super().write_once(uri, data)

    other_chain = make_chain(tmp_path / "other")
    (other_chain / "node.yaml").write_text("another")
    elsewhere = MemoryStore()
    others = (await archive_chain(elsewhere, ROOT, request_of(other_chain), CLOCK)).manifest.encode()
    store = Overtaken()
    with pytest.raises(PermanentError, match="node-fsm verify") as caught:
        await archive_chain(store, ROOT, request_of(chain), CLOCK)
    assert caught.value.reason == "ArchiveNotVerified"
    assert len([uri for uri in store.objects if uri.endswith("manifest.json")]) == MAX_RUNS


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("node.yaml", b"ed25519_sk1qqq", "ArchiveHoldsSecret"),
        ("blocks.bin", b"", "ArchiveContentWrong"),
        ("block0.bin", b"\0" * 100, "ArchiveContentWrong"),
    ],
)
async def test_nothing_is_uploaded_of_a_chain_that_is_not_right(
    chain: Path, name: str, content: bytes, reason: str
) -> None:
    (chain / name).write_bytes(content)
    store = MemoryStore()
    with pytest.raises(PermanentError, match=name) as caught:
        await archive_chain(store, ROOT, request_of(chain), CLOCK)
    assert caught.value.reason == reason
    assert store.objects == {}


async def test_nothing_is_uploaded_with_results_that_the_blocks_contradict(chain: Path) -> None:
    store = MemoryStore()
    wrong = replace(PUBLIC, votes=((1, 35, 300), (15, 0)))
    with pytest.raises(PermanentError, match=f"results of plan {PUBLIC.plan_id}"):
        await archive_chain(store, ROOT, request_of(chain, results=(wrong, PRIVATE)), CLOCK)
    assert store.objects == {}


async def test_salvaged_data_is_kept_as_it_is(chain: Path) -> None:
    (chain / "blocks.bin").write_bytes(b"torn")
    (chain / "block0.bin").unlink()
    store = MemoryStore()
    request = request_of(chain, kind=ArchiveKind.SALVAGE, results=None, vote_plan_ids=(), fingerprint=None)
    record = await archive_chain(store, ROOT, request, CLOCK)
    assert record.run_id.startswith("salvage-")
    manifest = await assert_holds(store, record.uri, chain)
    assert {file.name for file in manifest.files} == ARCHIVED - {"block0.bin"}


async def test_names_are_made_safe(chain: Path) -> None:
    store = MemoryStore()
    record = await archive_chain(store, ROOT, request_of(chain, election=Election(id=7, name="../é" * 99)), CLOCK)
    path = record.uri.removeprefix(f"{ROOT}/").split("/")[0]
    assert path.startswith("7-.._")
    assert path.isascii()
    assert len(path) < 110


async def test_an_archive_in_s3(chain: Path, s3_bucket: Bucket) -> None:
    store = S3Store(s3_bucket.endpoint_url)
    root = f"s3://{s3_bucket.name}/deep/prefix"
    record = await archive_chain(store, root, request_of(chain), CLOCK)
    assert await archive_chain(store, root, request_of(chain), CLOCK) == record
    found = {item["Key"]: item["Size"] for item in s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]}
    key = record.uri.removeprefix(f"s3://{s3_bucket.name}/")
    assert found == {f"{key}/archive.tar.zst": record.bytes, f"{key}/manifest.json": len(record.manifest.encode())}
    await store.close()


async def test_what_uploads_of_killed_services_left_is_ended_by_the_next_archive(
    chain: Path, s3_bucket: Bucket
) -> None:
    client, bucket = s3_bucket.client, s3_bucket.name
    client.create_multipart_upload(Bucket=bucket, Key="deep/prefix/9-other/hash/final-1/archive.tar.zst")
    client.create_multipart_upload(Bucket=bucket, Key="deep/prefix-of-others/archive.tar.zst")
    store = S3Store(s3_bucket.endpoint_url)
    await archive_chain(store, f"s3://{bucket}/deep/prefix", request_of(chain), CLOCK)
    assert unfinished_uploads(s3_bucket) == ["deep/prefix-of-others/archive.tar.zst"]
    await store.close()


@pytest.mark.parametrize("error", [PermanentError("S3AccessDenied", "no"), TemporaryError("S3Unavailable", "away")])
async def test_uploads_that_cannot_be_looked_for_keep_no_archive_back(chain: Path, error: ServiceError) -> None:
    class Lesser(MemoryStore):
        async def end_uploads(self, prefix: str, begun_before: datetime) -> int:
            raise error

    record = await archive_chain(Lesser(), ROOT, request_of(chain), CLOCK)
    assert record.verified_at == CLOCK.now()


async def test_s3_is_asked_before_any_work_is_done(chain: Path) -> None:
    (chain / "blocks.bin").write_bytes(b"would be refused")
    store = S3Store("http://127.0.0.1:1", timeout=0.5)
    with pytest.raises(TemporaryError) as caught:
        await archive_chain(store, ROOT, request_of(chain), CLOCK)
    assert caught.value.reason == "S3Unavailable"
    await store.close()


async def test_a_large_chain_is_streamed(chain: Path, s3_bucket: Bucket) -> None:
    """While 192 MiB that do not compress are archived, memory stays flat, the disk unused and the event loop alive.

    Flat is what parts on their way take, a slow server's longest, and what their threads' heaps keep of it.
    """
    with (chain / "blocks.bin").open("wb") as blocks:
        for _ in range(192):
            blocks.write(os.urandom(2**20))
    files = {path: path.stat().st_size for path in chain.parent.rglob("*")}
    process = psutil.Process()
    before = process.memory_info().rss
    peak, longest_pause = before, 0.0

    async def watch() -> None:
        nonlocal peak, longest_pause
        while True:
            started = time.thread_time()
            await asyncio.sleep(0.005)
            longest_pause = max(longest_pause, time.thread_time() - started)
            peak = max(peak, process.memory_info().rss)

    store = S3Store(s3_bucket.endpoint_url)
    watching = asyncio.create_task(watch())
    request = request_of(chain, kind=ArchiveKind.SALVAGE, results=None)
    record = await archive_chain(store, f"s3://{s3_bucket.name}", request, CLOCK)
    watching.cancel()
    assert record.bytes > 192 * 2**20
    assert peak - before < 176 * 2**20
    assert longest_pause < 0.5
    assert {path: path.stat().st_size for path in chain.parent.rglob("*")} == files
    s3_bucket.client.delete_object(Bucket=s3_bucket.name, Key=record.uri.split("/", 3)[3] + "/archive.tar.zst")
    await store.close()


async def test_a_cancelled_archive_leaves_nothing_and_is_made_later(chain: Path, s3_bucket: Bucket) -> None:
    (chain / "blocks.bin").write_bytes(os.urandom(20 * 2**20))
    store = S3Store(s3_bucket.endpoint_url)
    request = request_of(chain, kind=ArchiveKind.SALVAGE, results=None)
    archive = partial(archive_chain, store, f"s3://{s3_bucket.name}", request, CLOCK)
    uploads = partial(s3_bucket.client.list_multipart_uploads, Bucket=s3_bucket.name)
    archiving = asyncio.create_task(archive())
    async with asyncio.timeout(HANGING):
        while not (await asyncio.to_thread(uploads)).get("Uploads"):
            assert not archiving.done()
    archiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await archiving
    assert "Uploads" not in uploads()
    assert "Contents" not in s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)
    assert (await archive()).run_id.startswith("salvage-")
    await store.close()


async def test_an_archive_cancelled_as_its_upload_begins_leaves_nothing(
    chain: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chain / "blocks.bin").write_bytes(os.urandom(20 * 2**20))
    store = S3Store(s3_bucket.endpoint_url)
    begin, loop = store._client.create_multipart_upload, asyncio.get_running_loop()

    def begin_and_be_cancelled(**arguments: Any) -> Any:
        begun = begin(**arguments)
        loop.call_soon_threadsafe(archiving.cancel)
        return begun

    monkeypatch.setattr(store._client, "create_multipart_upload", begin_and_be_cancelled)
    request = request_of(chain, kind=ArchiveKind.SALVAGE, results=None)
    archiving = asyncio.create_task(archive_chain(store, f"s3://{s3_bucket.name}", request, CLOCK))
    with pytest.raises(asyncio.CancelledError):
        await archiving
    assert "Uploads" not in s3_bucket.client.list_multipart_uploads(Bucket=s3_bucket.name)
    await store.close()
