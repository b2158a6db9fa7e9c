"""What is promised: some of it at every moment, the rest once all is over."""

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import product
from typing import NamedTuple

from node_fsm.archive.manifest import MANIFEST_NAME
from node_fsm.core.events import Fact
from node_fsm.core.model import PlanResult, Publication
from tests.simulation.database import SimulatedDatabase
from tests.simulation.node import Nodes
from tests.simulation.scenario import POWERS, Planned, Say
from tests.support.memory_store import MemoryStore


class BrokenPromiseError(AssertionError):
    """A promise was broken; the message says which."""


class Accepted(NamedTuple):
    """What a voter said, and a node accepted as *raw* on the chain of a block 0."""

    block0_hash: str
    say: Say
    raw: bytes


class Promises:
    """Those about what stands in the database and in S3, and what nodes run."""

    def __init__(self, database: SimulatedDatabase, store: MemoryStore, nodes: Nodes) -> None:
        self._database = database
        self._store = store
        self._nodes = nodes
        self._standing: dict[str, tuple[PlanResult, ...]] = {}
        """The undisputed results by block 0, when that was last looked at."""

        self._published: set[str] = set()
        """Every block 0 that ever was, whatever the database has been restored to since."""

        self._missed: set[int | None] = set()
        """The elections that an earlier copy of the database had on record as never held."""

        self._lost: dict[str, set[bytes]] = {}
        """By block 0, what an earlier copy of the database had on record as lost."""

    def forget(self) -> None:
        """The database is about to be another copy."""
        self._standing.clear()
        self._published |= self._database.published.keys()
        self._missed |= self._missed_now()
        self._lost |= {hash_: self.on_record(hash_) for hash_ in self._database.published}

    def check(self) -> None:
        """What holds at every moment."""
        database = self._database
        standing = Counter(
            publication.election_id
            for hash_, publication in database.published.items()
            if hash_ not in database.withdrawn
        )
        if standing and max(standing.values()) > 1:
            raise BrokenPromiseError(f"two block 0 of one election are published: {standing}")
        self._published |= database.published.keys()
        for node in self._nodes.running():
            if node.state.block0_hash not in self._published:
                raise BrokenPromiseError(f"the node of {node.host} runs a chain that was never published")
        for hash_, results in self._standing.items():
            if database.posted.get(hash_) != results:
                raise BrokenPromiseError(f"the results of {hash_} were overwritten")
        self._standing = {
            hash_: results for hash_, results in database.posted.items() if hash_ not in database.disputes
        }
        for archive in database.archives:
            if not any(uri.startswith(archive.uri) for uri in self._store.objects):
                raise BrokenPromiseError(f"the archive {archive.uri} is recorded and not there")

    def check_end(self, planned: Planned, accepted: Collection[Accepted]) -> None:
        """An election was held, or it is on record why not; each vote is counted, or on record as not counted."""
        row = self._database.rows[planned.id]
        current = row.block0[0].hash if row.block0 else None
        for given_up in {one.block0_hash for one in accepted} - {current}:
            if not any(given_up in uri and uri.endswith(MANIFEST_NAME) for uri in self._store.objects):
                raise BrokenPromiseError(f"{planned.name}: people voted on {given_up}, of which there is no archive")
        if row.block0:
            publication = self._database.published[row.block0[0].hash]
            self._check_votes(planned, publication, [one for one in accepted if one.block0_hash == publication.hash])
        elif not row.cancelled and not self.was_missed(planned):
            raise BrokenPromiseError(f"{planned.name} was never held, and that is not on record")

    def on_record(self, hash_: str) -> set[bytes]:
        """The votes on a chain that are recorded as lost, or were in a copy of the database that is gone."""
        reports = self._database.lost_votes.items()
        recorded = {vote.raw for (_, of, _), votes in reports if of == hash_ for vote in votes.values()}
        return recorded | self._lost.get(hash_, set())

    def was_missed(self, planned: Planned) -> bool:
        """Whether it is on record that an election was never held, or was in a copy of the database that is gone."""
        return planned.id in self._missed | self._missed_now()

    def _missed_now(self) -> set[int | None]:
        return {entry.election_id for entry in self._database.journalled if entry.event == Fact.ELECTION_MISSED}

    def _check_votes(self, planned: Planned, publication: Publication, accepted: Collection[Accepted]) -> None:
        lost = self.on_record(publication.hash)
        counted = {result.plan_id: result.votes for result in self._database.posted.get(publication.hash, ())}
        for plan in publication.plans:
            votes = counted.get(plan.id)
            for index, proposal in enumerate(plan.proposals):
                # Who said two things said one of them; if either is on record, then perhaps nothing.
                said = [
                    {
                        None if one.raw in lost else one.say.choice
                        for one in accepted
                        if (one.say.plan, one.say.proposal, one.say.voter) == (plan.index, index, voter)
                    }
                    for voter in range(len(POWERS))
                ]
                choices = product(*(one or (None,) for one in said))
                if votes is None or votes[index] not in {_sums(one, len(proposal.options)) for one in choices}:
                    raise BrokenPromiseError(
                        f"{planned.name}: proposal {index} of plan {plan.index} has {votes and votes[index]}; accepted"
                        f" and not on record as lost were {said}"
                    )


def _sums(choices: Iterable[int | None], options: int) -> tuple[int, ...]:
    sums = [0] * options
    for choice, power in zip(choices, POWERS, strict=True):
        if choice is not None:
            sums[choice] += power
    return tuple(sums)
