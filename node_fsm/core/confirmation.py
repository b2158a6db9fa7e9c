"""Whether enough of a chain's leaders have the block up to which votes are counted.

Absence of evidence is not agreement: a node that is cut off hears nobody speak against its chain. So leader 0 counts a
chain once a majority of the leaders in block 0 has said, after the end of voting, that it has the same last block.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """What a node of the chain said last: the id of its first block at or after the end of voting, None before it.

    *leader_id* is its key in ``jorm_nodes`` (bech32), None for a follower.
    """

    hostname: str
    leader_id: str | None
    last_counted: str | None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Who of block 0's *leaders* (their number) has the block, who has another one, and who has said nothing yet.

    Hostnames, in alphabetical order; *unknown* counts the leaders of block 0 that no node of the cluster stands for.
    """

    leaders: int
    agree: tuple[str, ...]
    differ: tuple[str, ...]
    silent: tuple[str, ...]
    unknown: int

    @property
    def is_majority(self) -> bool:
        """Whether more than half of the leaders have the block."""
        return 2 * len(self.agree) > self.leaders

    @property
    def why_not(self) -> str:
        """One sentence saying who agrees and who is missing."""
        parts = [f"{len(self.agree)} of {self.leaders} leaders have the last counted block ({', '.join(self.agree)})"]
        if self.differ:
            parts.append(f"{', '.join(self.differ)} have another one")
        if self.silent:
            parts.append(f"{', '.join(self.silent)} have not said")
        if self.unknown:
            parts.append(f"{self.unknown} have no node in jorm_nodes")
        return "; ".join(parts)


def confirm(last_counted: str, leaders: Collection[str], statements: Iterable[Statement]) -> Confirmation:
    """Who confirms *last_counted*; *leaders* are the keys in block 0, *statements* include this node's own.

    A key counts once, and only a key of block 0 does: followers, and leaders whose key is not in it, confirm nothing.
    """
    by_leader = {
        statement.leader_id: statement
        for statement in sorted(statements, key=lambda said: (said.last_counted == last_counted, said.hostname))
        if statement.leader_id in leaders
    }
    said = by_leader.values()
    return Confirmation(
        leaders=len(leaders),
        agree=_names(one for one in said if one.last_counted == last_counted),
        differ=_names(one for one in said if one.last_counted not in {None, last_counted}),
        silent=_names(one for one in said if one.last_counted is None),
        unknown=len(set(leaders) - by_leader.keys()),
    )


def _names(statements: Iterable[Statement]) -> tuple[str, ...]:
    return tuple(sorted(statement.hostname for statement in statements))
