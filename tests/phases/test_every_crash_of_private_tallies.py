"""Killed at any effect of a private tally and started again, with its disk or without, the service ends the same."""

from pathlib import Path

import pytest

from node_fsm.archive.manifest import Manifest
from node_fsm.core.model import ArchiveKind
from tests.phases.life import Cluster, Killed

VOTES = ((1, 10, 0), (0, 0))
TALLY_FILES = {f"tally/plan-1/{name}.json" for name in ("share-0", "share-1", "merged", "result")}

EFFECTS = [
    ("node", "save_records", 0),
    ("jcli", "transaction", 0),
    ("node", "post_fragment", 0),
    ("database", "save_tally_snapshot", 0),
    ("database", "tally_snapshots", 0),
    ("database", "decrypted", 0),
    ("database", "shares", 0),
    ("database", "shares", 1),
    ("jcli", "merge_shares", 0),
    ("jcli", "decrypt_results", 0),
    ("database", "save_decrypted", 0),
    ("jcli", "private_tally_certificate", 0),
    ("jcli", "transaction", 1),
    ("node", "post_fragment", 1),
    ("database", "post_results", 0),
    ("store", "upload", 0),
    ("store", "write_once", 0),
    ("database", "save_archive", 0),
]
IDS = [f"{method}-{call}" for _, method, call in EFFECTS]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """One plan of each kind."""
    return Cluster(tmp_path, groups=2, private=1)


def assert_the_end(cluster: Cluster) -> None:
    """Counted, opened, both tallies on the chain, archived with all that opened the votes, nothing left over."""
    (results,) = cluster.database.posted.values()
    assert [(result.votes, result.on_chain) for result in results] == [(VOTES, True)] * 2
    assert cluster.node.chain is not None
    tallies = [found.plan_id for found in cluster.node.chain.counted().tallies]
    assert sorted(set(tallies)) == sorted(result.plan_id for result in results)
    (archive,) = cluster.database.archives
    manifest = Manifest.parse(archive.manifest.encode())
    assert (manifest.kind, manifest.untallied) == (ArchiveKind.FINAL, None)
    assert {file.name for file in manifest.files} >= TALLY_FILES
    assert cluster.world.ctx.workspace.chains() == ()
    assert cluster.world.ctx.workspace.set_aside_chains() == ()
    assert cluster.world.condition("work_failing") is None


async def test_a_life_without_disturbance(cluster: Cluster) -> None:
    await cluster.live()
    assert_the_end(cluster)


@pytest.mark.parametrize("disk", [True, False], ids=["disk kept", "disk lost"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("port", "method", "call"), EFFECTS, ids=IDS)
async def test_killed_once_at(cluster: Cluster, port: str, method: str, call: int, after: bool, disk: bool) -> None:
    cluster.kill_at(port, method, call, after=after)
    with pytest.raises(Killed):
        await cluster.live()
    if not disk:
        cluster.lose_disk()
    await cluster.live()
    assert_the_end(cluster)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_each_of_them_in_turn(cluster: Cluster, after: bool) -> None:
    await cluster.live_through(EFFECTS, after=after)
    assert cluster.lives > len(EFFECTS) / 2
    assert_the_end(cluster)
