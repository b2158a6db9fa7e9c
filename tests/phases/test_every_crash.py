"""Killed at any of its effects and started again, the service reaches the same end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from node_fsm.core.model import ArchiveKind, JournalEntry, StoredArchive
from tests.phases.life import Cluster, Killed

VOTES = ((1, 10, 0), (0, 0))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def assert_the_end(cluster: Cluster, *, on_chain: bool = True) -> None:
    """The one right end: counted, tallied on the chain while there was time for it, archived, nothing left over."""
    ((result,),) = cluster.database.posted.values()
    assert (result.votes, result.on_chain) == (VOTES, on_chain)
    assert len(cluster.database.published) == 1
    assert cluster.database.withdrawn == set()
    (archive,) = cluster.database.archives
    assert archive.kind is ArchiveKind.FINAL
    assert cluster.world.ctx.workspace.chains() == ()
    assert cluster.world.ctx.workspace.set_aside_chains() == ()
    assert cluster.world.condition("work_failing") is None


async def test_a_life_without_disturbance(cluster: Cluster) -> None:
    await cluster.live()
    assert_the_end(cluster)
    journalled = cluster.database.journalled
    facts = [entry.event for entry in journalled if entry.source == entry.target]
    assert facts == ["block0_written", "results_written", "archive_written"]
    assert [entry.event for entry in journalled if entry.source != entry.target] == [
        "election_due",
        "key_fetched",
        "vote_plan_built",
        "block0_published",
        "voting_ended",
        "results_posted",
        "archived",
        "local_data_reset",
    ]


EFFECTS = [
    ("jcli", "new_vote_plan", 0),
    ("jcli", "genesis_encode", 0),
    ("database", "publish_block0", 0),
    ("database", "chain_copies", 0),
    ("node", "save_records", 0),
    ("jcli", "transaction", 0),
    ("node", "post_fragment", 0),
    ("database", "save_tally_snapshot", 0),
    ("database", "post_results", 0),
    ("store", "upload", 0),
    ("store", "write_once", 0),
    ("database", "save_archive", 0),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("port", "method", "call"), EFFECTS, ids=[effect[1] for effect in EFFECTS])
async def test_killed_once_at(cluster: Cluster, port: str, method: str, call: int, after: bool) -> None:
    cluster.kill_at(port, method, call, after=after)
    with pytest.raises(Killed):
        await cluster.live()
    await cluster.live()
    assert_the_end(cluster)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_each_of_them_in_turn(cluster: Cluster, after: bool) -> None:
    await cluster.live_through(EFFECTS, after=after)
    assert cluster.lives > len(EFFECTS) / 2
    assert_the_end(cluster)


async def test_what_prometheus_is_told_of_a_whole_life(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def metric(name: str) -> float | None:
        return cluster.world.ctx.metrics.registry.get_sample_value(f"node_fsm_{name}")

    votes: list[float | None] = []
    save = cluster.database.save_archive

    async def save_archive(archive: StoredArchive, entry: JournalEntry, *content: Sequence[Any]) -> None:
        votes.append(metric("votes_cast"))
        await save(archive, entry, *content)

    monkeypatch.setattr(cluster.database, "save_archive", save_archive)
    began = cluster.world.clock.now().timestamp()
    await cluster.live()
    ended = cluster.world.clock.now().timestamp()
    (archive,) = cluster.database.archives
    assert metric("archive_bytes") == archive.bytes
    assert metric("archive_verified_timestamp_seconds") == archive.verified_at.timestamp()
    posted = metric("results_posted_timestamp_seconds")
    assert posted is not None
    assert began < posted < ended
    assert votes == [2]
