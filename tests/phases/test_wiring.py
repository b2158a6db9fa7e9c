"""How a node is wired to a chain, which node goes on alone, and who may start one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.core.cluster import ChainCopy
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.core.phases import Role
from node_fsm.ports import ChainRun, Problem, ProcessPhase
from node_fsm.steps.adopt import adopt_block0
from node_fsm.steps.wiring import STORAGE_DAMAGED, is_seed, peers_of, require_node, rewire
from node_fsm.storage.files import make_private
from tests.phases.world import World
from tests.support.memory_database import DATABASE_AWAY

LEADER1_ADDRESS = "/ip4/10.0.0.2/tcp/1"


async def require(world: World) -> ChainRun:
    """Join the published chain; what the supervisor was told."""
    chain, head = await adopt_block0(world.ctx)
    await require_node(world.ctx, chain, head.leader_ids)
    return world.node.required[-1]


async def test_leader_0_begins_the_chain(published: World) -> None:
    run = await require(published)
    assert (run.block0_hash, run.directory) == (published.hash, published.chain)
    assert run.clock == published.ctx.block0_in_work().dates.clock
    assert run.peers == (LEADER1_ADDRESS,)
    assert run.seed


NODES = (
    NodeRow("c", "pk-c", "/dns4/c/tcp/1"),
    NodeRow("a", "pk-a", "/ip4/10.0.0.1/tcp/1"),
    NodeRow("b", "pk-b", None),
    NodeRow("d", None, "/ip4/10.0.0.4/tcp/1"),
    NodeRow("e", "pk-e", "/ip4/10.0.0.5/tcp/1"),
)


def test_peers_are_the_other_leaders_that_have_an_address() -> None:
    assert peers_of(NODES, "a") == ("/dns4/c/tcp/1", "/ip4/10.0.0.5/tcp/1")
    assert peers_of(NODES, "d") == ("/ip4/10.0.0.1/tcp/1", "/dns4/c/tcp/1", "/ip4/10.0.0.5/tcp/1")
    assert peers_of(NODES[:2], "a") == ("/dns4/c/tcp/1",)
    assert peers_of(NODES[2:4], "a") == ()
    assert peers_of(tuple(reversed(NODES)), "d") == peers_of(NODES, "d")


@pytest.mark.parametrize(
    ("copies", "seeds"),
    [
        ({}, {"leader0"}),
        ({"leader0": 0, "leader1": 0}, {"leader0"}),
        ({"leader0": 7}, {"leader0"}),
        ({"leader0": 6, "leader1": 7}, {"leader1"}),
        ({"leader0": 7, "leader1": 7}, {"leader0"}),
        ({"leader2": 1}, {"leader2"}),
        ({"leader0": -7, "leader1": 3}, {"leader1"}),
        ({"leader0": -7, "leader1": 0}, set()),
        ({"leader0": -7, "leader1": -9}, set()),
        ({"follower": 7}, set()),
        ({"follower": 9, "leader1": 7}, {"leader1"}),
    ],
)
def test_at_most_one_node_goes_on_alone(copies: dict[str, int], seeds: set[str]) -> None:
    """Here a copy that is lost has a negative height."""
    roles = {"leader0": Role.LEADER0, "leader1": Role.NODE, "leader2": Role.NODE}
    known = [
        ChainCopy(name, abs(height), lost=height < 0, is_leader="follower" not in name)
        for name, height in copies.items()
    ]
    assert {hostname for hostname, role in roles.items() if is_seed(role, hostname, known)} == seeds


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 3), st.booleans(), st.booleans())))
def test_a_node_that_holds_no_block_is_never_the_seed_of_a_chain_that_has_some(
    known: dict[str, tuple[int, bool, bool]],
) -> None:
    copies = [ChainCopy(hostname, *copy) for hostname, copy in known.items()]
    seeds = [name for name in "abcd" if is_seed(Role.LEADER0 if name == "a" else Role.NODE, name, copies)]
    assert len(seeds) <= 1
    if any(copy.height for copy in copies):
        assert all(known[seed][0] > 0 and not known[seed][1] and known[seed][2] for seed in seeds)
    else:
        assert seeds == ["a"]


def hold(world: World, **heights: int) -> None:
    """Have machines on record with so much of the chain."""
    copies = {name: ChainCopy(name, height, lost=False, is_leader=True) for name, height in heights.items()}
    world.database.copies[world.hash] = copies


def store(world: World) -> None:
    """Have blocks in the node's store."""
    world.chain.storage.mkdir(parents=True, exist_ok=True)
    world.chain.mark_held()
    assert world.chain.is_held


@pytest.mark.parametrize("begun", [False, True])
async def test_a_leader_0_without_its_storage_does_not_begin_the_chain_anew(published: World, begun: bool) -> None:
    """Nor with the store that a node makes while it only waits for its peers."""
    hold(published, leader0=1, leader1=0)
    if begun:
        (published.chain.storage / "volatile").mkdir(parents=True)
    for _ in range(2):  # also when the loss is on record already
        with pytest.raises(PermanentError) as refusal:
            await require(published)
        assert refusal.value.reason == "StorageLost"
        assert published.hash in refusal.value.message
        assert "NODE_FSM_STORAGE_DIR" in refusal.value.message
    assert published.node.required == []


async def test_with_its_storage_it_goes_on(published: World) -> None:
    hold(published, leader0=1)
    store(published)
    assert (await require(published)).seed


async def test_without_its_storage_it_follows_a_leader_that_has_the_chain(published: World) -> None:
    """Also when that leader has a little less of it: all that stands anywhere is there."""
    hold(published, leader0=9, leader1=7)
    run = await require(published)
    assert not run.seed
    assert run.peers == (LEADER1_ADDRESS,)
    assert is_seed(Role.NODE, "leader1", await published.database.chain_copies(published.hash))


async def test_a_storage_that_came_back_counts_again(published: World) -> None:
    hold(published, leader0=9)
    with pytest.raises(PermanentError, match="StorageLost"):
        await require(published)
    (published.chain.storage / "volatile").mkdir(parents=True)
    with pytest.raises(PermanentError, match="StorageLost"):
        await require(published)
    store(published)
    assert (await require(published)).seed


async def test_what_a_sync_left_behind_is_no_copy_while_somebody_has_one(published: World) -> None:
    """Leader 0 lost 9 blocks and began to copy from leader 1, which has 7: it must not go on alone with fewer."""
    hold(published, leader0=9, leader1=7)
    await require(published)
    assert any(published.chain.storage.iterdir())
    assert not (await require(published)).seed


async def test_leader_0_does_not_start_a_node_without_the_lease(published: World) -> None:
    published.ctx.lease = None
    with pytest.raises(TemporaryError, match="LeaseNotHeld"):
        await require(published)
    assert published.node.required == []


async def test_leader_0_does_not_start_a_node_beside_one_that_may_still_run(published: World) -> None:
    assert published.ctx.lease is not None
    published.ctx.lease = replace(published.ctx.lease, unconfirmed_holder="old-host")
    with pytest.raises(PermanentError) as refusal:
        await require(published)
    assert refusal.value.reason == "OtherLeader0Unconfirmed"
    assert "old-host" in refusal.value.message
    assert "`node-fsm lease take`" in refusal.value.message
    assert published.node.required == []


async def test_other_nodes_need_no_lease(leader1: World) -> None:
    assert leader1.ctx.lease is None
    run = await require(leader1)
    assert not run.seed
    assert run.peers == ("/ip4/10.0.0.1/tcp/1",)


async def test_the_first_start_waits_for_the_database(published: World) -> None:
    published.database.failure = DATABASE_AWAY
    await published.look()
    with pytest.raises(TemporaryError, match="DatabaseUnavailable"):
        await require(published)
    assert published.node.required == []


@pytest.mark.parametrize("lost", ["database", "copies", "lease"])
async def test_a_node_that_was_required_before_needs_neither_database_nor_lease(published: World, lost: str) -> None:
    await require(published)
    if lost == "database":
        published.database.failure = DATABASE_AWAY
        await published.look()
    elif lost == "copies":
        published.database.failure = DATABASE_AWAY
    else:
        published.ctx.lease = None
    await require(published)
    assert published.node.state.running


async def test_a_node_of_another_chain_does_not_count_as_required(published: World) -> None:
    await require(published)
    published.node.tells(block0_hash="cd" * 32)
    published.database.failure = DATABASE_AWAY
    with pytest.raises(TemporaryError, match="DatabaseUnavailable"):
        await require(published)


async def test_a_chain_that_only_a_follower_has_is_not_begun_anew_either(published: World) -> None:
    """The rows of the leaders that had it are gone."""
    hold(published, follower=7, gone=9)
    with pytest.raises(PermanentError, match="StorageLost"):
        await require(published)


async def test_a_running_node_is_left_alone_by_what_would_keep_it_from_starting(published: World) -> None:
    await require(published)
    hold(published, leader0=5)
    await require(published)
    assert published.database.copies[published.hash]["leader0"].lost
    published.node.tells(phase=ProcessPhase.FAILED)
    with pytest.raises(PermanentError, match="StorageLost"):
        await require(published)


@pytest.mark.parametrize("others", [0, 7])
@pytest.mark.parametrize("ended", [False, True])
async def test_a_damaged_store_is_given_up_only_while_another_leader_has_the_chain(
    published: World, others: int, ended: bool
) -> None:
    hold(published, leader0=9, leader1=others)
    chain, head = await adopt_block0(published.ctx)
    store(published)
    published.node.tells(
        problem=Problem(STORAGE_DAMAGED, "its storage is damaged"),
        pid=None if ended else 4711,  # the next start is under way already
    )
    await rewire(published.ctx, chain, head.leader_ids)
    is_given_up = bool(others and ended)
    kept = [path for path in chain.path.iterdir() if path.name.startswith("storage-damaged-")]
    assert len(kept) == is_given_up
    assert published.node.required[-1].seed is not is_given_up


@pytest.mark.parametrize("away", [False, True])
async def test_a_store_that_was_damaged_before_its_first_block_is_given_up_whoever_has_the_chain(
    published: World, away: bool
) -> None:
    """Nothing can be lost with it; however often that happens, the disk is not filled."""
    run = await require(published)
    published.node.tells(
        phase=ProcessPhase.FAILED, problem=Problem(STORAGE_DAMAGED, "its storage is damaged"), pid=None
    )
    published.node.broken = True
    if away:
        published.database.failure = DATABASE_AWAY
    chain = run.directory
    for damage in (b"first", b"second"):
        make_private(chain.storage)
        (chain.storage / "blocks.sqlite").write_bytes(damage)
        await rewire(published.ctx, chain, leaders=())
        assert not (chain.storage / "blocks.sqlite").exists()
    (kept,) = [path for path in chain.path.iterdir() if path.name.startswith("storage-damaged")]
    assert (kept / "blocks.sqlite").read_bytes() == b"second"


@pytest.mark.parametrize("others", [{"gone": 9}, {"follower": 2}])
async def test_a_machine_that_has_the_chain_without_being_on_record_goes_on_with_it(
    published: World, others: dict[str, int]
) -> None:
    """Its disk came from another host, or it did not come to report anything before."""
    hold(published, **others)
    store(published)
    assert (await require(published)).seed
