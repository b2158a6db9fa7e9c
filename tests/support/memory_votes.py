"""The part of the database in memory that knows of votes in no block."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from node_fsm.core.model import LostVotes, SignedFragment, UncountedVote


@dataclass(kw_only=True)
class MemoryVotes(ABC):
    """By block 0 and fragment id what was *handed* over by whom, and which of it is *resolved*; *lost_votes* by name of
    the election, block 0 and node.
    """

    handed: dict[tuple[str, str], tuple[str, SignedFragment]] = field(default_factory=dict)
    resolved: set[tuple[str, str]] = field(default_factory=set)
    lost_votes: dict[tuple[str, str, str], dict[str, UncountedVote]] = field(default_factory=dict)

    @abstractmethod
    def _call(self, method: str) -> AbstractContextManager[None]:
        """What every call begins with."""

    async def hand_over(self, block0_hash: str, hostname: str, fragments: Sequence[SignedFragment]) -> None:
        with self._call("hand_over"):
            for one in fragments:
                key = (block0_hash, one.id)
                if key in self.resolved or key not in self.handed:
                    self.handed[key] = (hostname, one)
                    self.resolved.discard(key)

    async def handed_over(
        self, block0_hash: str, hostname: str, known: Collection[str], limit: int
    ) -> tuple[SignedFragment, ...]:
        with self._call("handed_over"):
            found = [
                one
                for (hash_, id_), (host, one) in self.handed.items()
                if hash_ == block0_hash and host != hostname and (hash_, id_) not in self.resolved and id_ not in known
            ]
            return tuple(found[:limit])

    async def resolve_handover(self, block0_hash: str, fragment_ids: Collection[str] | None = None) -> None:
        with self._call("resolve_handover"):
            self.resolved |= {
                (hash_, id_)
                for hash_, id_ in self.handed
                if hash_ == block0_hash and (fragment_ids is None or id_ in fragment_ids)
            }

    async def report_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        with self._call("report_uncounted"):
            self.lost_votes[(election_name, block0_hash, hostname)] = {vote.fragment_id: vote for vote in votes}

    async def add_uncounted(
        self, election_id: int, election_name: str, block0_hash: str, hostname: str, votes: Sequence[UncountedVote]
    ) -> None:
        with self._call("add_uncounted"):
            known = self.lost_votes.setdefault((election_name, block0_hash, hostname), {})
            for vote in votes:
                known.setdefault(vote.fragment_id, vote)

    async def uncounted(self, block0_hash: str) -> tuple[UncountedVote, ...]:
        with self._call("uncounted"):
            found: dict[str, UncountedVote] = {}
            for (_, hash_, _), votes in sorted(self.lost_votes.items(), reverse=True):
                found |= votes if hash_ == block0_hash else {}
            return tuple(vote for _, vote in sorted(found.items()))

    async def forget_uncounted(self, block0_hash: str, fragment_ids: Collection[str]) -> None:
        with self._call("forget_uncounted"):
            for (_, hash_, _), votes in self.lost_votes.items():
                for id_ in fragment_ids if hash_ == block0_hash else ():
                    votes.pop(id_, None)

    def _lost(self) -> tuple[LostVotes, ...]:
        chains: dict[tuple[str, str], dict[str, UncountedVote]] = {}
        for (name, hash_, _), votes in self.lost_votes.items():
            chains.setdefault((name, hash_), {}).update(votes)
        return tuple(
            LostVotes(name, hash_, len(votes), sum(vote.weight for vote in votes.values()))
            for (name, hash_), votes in sorted(chains.items())
            if votes
        )
