"""Archives as operators list them and get them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from node_fsm.archive.fetch import fetch_archive
from node_fsm.archive.store import archive_chain
from node_fsm.cli.archives import ARCHIVES, FETCHED
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ArchiveKind, StoredArchive
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.s3.store import S3Store
from tests.archive.helpers import FixedClock, make_chain, request_of
from tests.cli.commands import invoke
from tests.support.bucket import Bucket
from tests.support.fakes import FACT


@pytest_asyncio.fixture
async def archive(
    database_url: str, s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StoredArchive:
    """An archive in S3 that the database knows."""
    monkeypatch.setenv("NODE_FSM_DATABASE_URL", database_url)
    monkeypatch.setenv("NODE_FSM_S3_ENDPOINT_URL", s3_bucket.endpoint_url)
    monkeypatch.setenv("COLUMNS", "80")
    store = S3Store(s3_bucket.endpoint_url)
    try:
        made = await archive_chain(
            store, f"s3://{s3_bucket.name}", request_of(make_chain(tmp_path / "chain")), FixedClock()
        )
    finally:
        await store.close()
    await save(database_url, made)
    return made


async def save(url: str, archive: StoredArchive) -> None:
    database = PostgresDatabase(url)
    try:
        await database.save_archive(archive, FACT)
    finally:
        await database.close()


async def test_archives_are_listed_whole(archive: StoredArchive) -> None:
    listed = (await invoke("archive", "list")).stdout
    assert archive.uri in listed.split()
    (row,) = json.loads((await invoke("archive", "list", archive.election_name, "--output", "json")).stdout)
    assert list(row) == [column.name for column in ARCHIVES]
    assert (row["uri"], row["sha256"], row["kind"]) == (archive.uri, archive.sha256, "final")
    assert (await invoke("archive", "list", "Fund 9")).stdout.startswith("there are no archives of Fund 9 yet")


async def test_an_archive_is_got_by_its_election_or_uri_and_is_whole(archive: StoredArchive, tmp_path: Path) -> None:
    for number, name in enumerate((archive.election_name, archive.uri, f"{archive.uri}/manifest.json")):
        directory = tmp_path / "new" / str(number)
        got = json.loads((await invoke("archive", "get", name, directory, "--output", "json")).stdout)
        assert list(got) == [column.name for column in FETCHED]
        assert (got["uri"], got["sha256"]) == (archive.uri, archive.sha256)
        assert sorted(path.name for path in directory.iterdir()) == ["archive.tar.zst", "manifest.json"]
    verified = await invoke("verify", directory)
    assert "is whole" in verified.stdout
    refused = await invoke("archive", "get", archive.uri, directory, code=3)
    assert refused.stderr.startswith("FileExists")


async def test_an_election_without_such_an_archive_is_told_which_there_are(
    archive: StoredArchive, database_url: str, tmp_path: Path
) -> None:
    name = archive.election_name
    none = await invoke("archive", "get", name, tmp_path / "new", "--kind", "superseded", code=3)
    assert f"there is no superseded archive of {name!r}" in none.stderr
    assert f"final at {archive.uri}" in none.stderr
    await save(database_url, replace(archive, run_id="another", uri="s3://b/k"))
    several = await invoke("archive", "get", name, tmp_path / "new", code=3)
    assert "there is more than one final archive" in several.stderr
    assert "s3://b/k" in several.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text, tar: (text, tar[:-1]), "is not the"),
        (lambda text, tar: (text, tar + b"x"), "is not the"),
        (lambda text, tar: (text, b"x" + tar[1:]), "is not the"),
        (lambda text, tar: (text.replace(b'"format"', b'"Format"'), tar), "manifest.json"),
    ],
    ids=["shorter", "longer", "another byte", "no manifest"],
)
async def test_what_does_not_come_whole_leaves_nothing(
    archive: StoredArchive,
    s3_bucket: Bucket,
    tmp_path: Path,
    spoil: Callable[[bytes, bytes], tuple[bytes, bytes]],
    said: str,
) -> None:
    key = archive.uri.removeprefix(f"s3://{s3_bucket.name}/")
    names = [f"{key}/manifest.json", f"{key}/archive.tar.zst"]
    read = [s3_bucket.client.get_object(Bucket=s3_bucket.name, Key=name)["Body"].read() for name in names]
    for name, content in zip(names, spoil(*read), strict=True):
        s3_bucket.client.put_object(Bucket=s3_bucket.name, Key=name, Body=content)
    refused = await invoke("archive", "get", archive.uri, tmp_path / "new", code=3)
    assert refused.stderr.startswith("ArchiveNotVerified")
    assert said in refused.stderr
    assert not list((tmp_path / "new").glob("*"))


async def test_a_manifest_that_the_database_does_not_have_is_refused(
    archive: StoredArchive, s3_bucket: Bucket, tmp_path: Path
) -> None:
    store = S3Store(s3_bucket.endpoint_url)
    told: list[tuple[int, int]] = []
    try:
        with pytest.raises(PermanentError, match="is another one than the table archive has"):
            await fetch_archive(store, archive.uri, tmp_path / "new", lambda *_: None, f"{archive.manifest} ")
        await fetch_archive(store, archive.uri, tmp_path / "new", lambda *done: told.append(done), archive.manifest)
    finally:
        await store.close()
    assert told[-1] == (archive.bytes, archive.bytes)
    assert archive.kind is ArchiveKind.FINAL
