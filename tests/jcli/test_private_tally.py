"""A private tally made with jcli itself, on the stand-in always and on the real jcli where there is one."""

import json
from pathlib import Path

import pytest

from node_fsm.core.committee import PostedShare
from node_fsm.programs.jcli import Jcli
from node_fsm.steps.adopt import open_copy
from node_fsm.steps.private_tally import PrivateTally
from node_fsm.steps.tally import read_snapshot, record
from tests.contract.binaries import Binaries
from tests.phases.small_election import MEMBERS
from tests.phases.world import World
from tests.support.polling import HANGING
from tests.support.private_jcli import member_public_key

VOTES = ((1, 10, 0), (0, 0))


class Stand:
    """A chain after voting, with private plans only, whose tally is made with the commands of *jcli*."""

    def __init__(self, directory: Path, jcli: Jcli, plans: int) -> None:
        self.world = World(directory, groups=plans, private=plans)
        self.jcli = jcli

    async def end_voting(self) -> None:
        world, jcli = self.world, self.jcli
        world.clock.advance(seconds=-world.clock.monotonic())
        await world.end_voting()
        for command in ("merge_shares", "decrypt_results", "decryption_shares", "private_tally_certificate"):
            setattr(world.jcli, command, getattr(jcli, command))
        copy = await open_copy(world.chain)
        await copy.advance(world.node)
        last = copy.first_at(world.ctx.block0_in_work().dates.vote_end)
        assert last
        await record(world.ctx, world.chain, copy, last)

    async def tally(self) -> PrivateTally:
        """Begin a tally, as each life of the service does."""
        world = self.world
        assert world.node.chain
        account = await read_snapshot(world.chain, [plan.id for plan in world.plans])
        return await PrivateTally.of(world.ctx, world.chain, world.node.chain.counted(), account.printed)

    async def post(self) -> None:
        """The members post their shares."""
        world = self.world
        for saved in await world.database.tally_snapshots(world.hash):
            file = world.chain.path / "account.json"
            file.write_text(json.dumps([saved.printed]))
            for secret in MEMBERS:
                share = await self.jcli.decryption_shares(file, saved.plan_id, secret)
                posted = PostedShare(saved.plan_id, saved.hash, member_public_key(secret), share)
                await world.database.post_shares(world.hash, [posted])


async def nothing() -> None:
    raise AssertionError("all shares are there, so nothing is waited for")


@pytest.fixture
async def stand(binaries: Binaries, tmp_path: Path) -> Stand:
    stand = Stand(tmp_path, Jcli(str(binaries.jcli), timeout=HANGING), plans=2)
    await stand.end_voting()
    return stand


async def test_jcli_takes_what_is_given_to_it_and_makes_the_tallies(stand: Stand) -> None:
    tally = await stand.tally()
    await stand.post()
    assert await tally.results(nothing) == {plan.id: VOTES for plan in stand.world.plans}
    certificates = [await make() for make in tally.certificates.values()]
    assert len(set(certificates)) == 2
    assert all(text.startswith("cert1") for text in certificates)
    files = [path for path in stand.world.chain.tally.rglob("*") if path.is_file()]
    assert len(files) == 2 * 5
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_another_life_makes_the_same_tallies_of_what_the_database_has(stand: Stand) -> None:
    tally = await stand.tally()
    await stand.post()
    await tally.results(nothing)
    certificates = {plan: await make() for plan, make in tally.certificates.items()}
    for path in [path for path in stand.world.chain.tally.rglob("*") if path.is_file()]:
        path.unlink()
    again = await stand.tally()
    assert await again.results(nothing) == {plan.id: VOTES for plan in stand.world.plans}
    assert {plan: await make() for plan, make in again.certificates.items()} == certificates
