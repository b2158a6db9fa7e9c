"""A service that is killed again and again as it archives, on two kinds of S3 servers: one archive, and it is whole."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from node_fsm_sandbox.election.cluster import Cluster, Member, closing
from node_fsm_sandbox.election.draw import draw_election, draw_voters
from node_fsm_sandbox.election.importing import import_files, write_election, write_template
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.election.part import leader0
from node_fsm_sandbox.failpoints.armed import SETTING

from node_fsm.archive.verify import verify_uri
from node_fsm.block0.template import load_template
from node_fsm.database.session import Session
from node_fsm.s3.store import S3Store
from tests.contract.binaries import Binaries
from tests.s3.helpers import keys, unfinished_uploads
from tests.soak.election import CHAIN_LEAD, HeldElection, Kill, Victim, times_now
from tests.support.bucket import Bucket
from tests.support.versitygw import gateway_bucket
from tests.system.conftest import show_logs

pytestmark = pytest.mark.faults

PLACES = ("store.upload:before", "store.upload:done", "database.save_archive:before", "database.save_archive:recorded")
"""Where one life after the other ends: without a tar, without its manifest, without its row, and with all of it."""

OFFSET_MINUTES = -CHAIN_LEAD / 60
RANDOM_KILLS = 3


@pytest.fixture(params=["moto", "versitygw"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    """On a server that believes everything, and on one that checks signatures and conditions."""
    if request.param == "moto":
        yield request.getfixturevalue("s3_bucket")
        return
    (tmp_path / "s3").mkdir()
    with gateway_bucket(tmp_path / "s3", "elections") as made:
        yield made


@pytest.fixture(params=["archive", "random"])
def places(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """At named places of archiving, and at random moments of the election."""
    return PLACES if request.param == "archive" else ()


@pytest.mark.parametrize("binaries", ["sandbox"], indirect=True)
async def test_one_archive_comes_of_it(
    tmp_path: Path, database_url: str, bucket: Bucket, binaries: Binaries, places: tuple[str, ...]
) -> None:
    random, session, store = Random(5), Session(database_url), S3Store(bucket.endpoint_url)
    template = tmp_path / "template.yaml"
    write_template(template)
    settings = {
        "NODE_FSM_BLOCK0_TEMPLATE": str(template),
        "NODE_FSM_JCLI_PATH": str(binaries.jcli),
        "NODE_FSM_JORM_PATH": str(binaries.jormungandr),
        "NODE_FSM_VOTING_START_OFFSET_MINUTES": str(OFFSET_MINUTES),
    }
    outside = Outside(database_url, bucket.endpoint_url, bucket.name)
    async with closing(Cluster(outside, tmp_path, tmp_path, settings)) as cluster:
        (member,) = await cluster.add(leader0())
        drawn = draw_election("first", times_now(), draw_voters(random, 8), random)
        files = write_election(drawn, tmp_path / "election")
        await import_files(session, *files, load_template(template), OFFSET_MINUTES)
        election = HeldElection(drawn, cluster.members, session, random)
        lives = asyncio.create_task(_live(member, places))
        try:
            assert await election.hold(() if places else tuple(map(_kill_at, _moments(random)))) == []
            await lives
            assert member.service.starts == 1 + len(places or election.killed)
        finally:
            lives.cancel()
            await asyncio.gather(lives, return_exceptions=True)
            show_logs([member.service])
        (uri,) = await _uris(session)
        assert [check.detail async for check in verify_uri(store, uri, tmp_path) if not check.ok] == []
    prefix = f"s3://{bucket.name}/"
    manifests = [key for key in keys(bucket) if key.endswith("/manifest.json")]
    assert manifests == [f"{uri.removeprefix(prefix)}/manifest.json"], "only what counts has one"
    assert unfinished_uploads(bucket) == []
    await store.close()
    await session.close()


async def _live(member: Member, places: tuple[str, ...]) -> None:
    """One life of the service for each place at which it ends itself, and one more."""
    for place in places:
        member.service.settings[SETTING] = f"{place}=kill"
        await member.service.start()
        await member.service.ended()
    member.service.settings.pop(SETTING, None)
    await member.service.start()


def _moments(random: Random) -> list[float]:
    """Of kills: after voting has begun, through the tally and the archive."""
    end = CHAIN_LEAD + 24
    return sorted(random.uniform(CHAIN_LEAD, end) for _ in range(RANDOM_KILLS))


def _kill_at(moment: float) -> Kill:
    return Kill(moment, Victim.SERVICE, 0, 0.5)


async def _uris(session: Session) -> list[str]:
    async with session.transaction("test", snapshot=True) as connection:
        found = await connection.exec_driver_sql("SELECT uri FROM archive")
        return [str(uri) for (uri,) in found]
