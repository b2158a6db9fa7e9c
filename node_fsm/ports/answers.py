"""What the node's REST interface answers, as records. The parsers raise KeyError, TypeError or ValueError."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from node_fsm.chain.limits import LANES
from node_fsm.core.chain_time import BlockDate, ChainClock

_LANE_BITS = 29


@dataclass(frozen=True, slots=True)
class NodeStats:
    """The node's own account of itself; only a node that has loaded its chain gives one."""

    version: str
    state: str
    height: int
    tip: str
    tip_date: BlockDate
    last_block_time: datetime | None
    peers_connected: int

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        time = answer["lastBlockTime"]
        return cls(
            version=str(answer["version"]),
            state=str(answer["state"]),
            height=int(answer["lastBlockHeight"]),
            tip=str(answer["lastBlockHash"]),
            tip_date=BlockDate.parse(answer["lastBlockDate"]),
            last_block_time=datetime.fromisoformat(time) if time else None,
            peers_connected=int(answer["peerConnectedCnt"]),
        )


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """The parameters of the chain that the node runs."""

    block0_hash: str
    clock: ChainClock

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(
            block0_hash=str(answer["block0Hash"]),
            clock=ChainClock(
                start=datetime.fromisoformat(answer["block0Time"]),
                slot_duration=int(answer["slotDuration"]),
                slots_per_epoch=int(answer["slotsPerEpoch"]),
            ),
        )


@dataclass(frozen=True, slots=True)
class Account:
    """An account in the ledger: its money, its tokens by id, and what to spend next in each lane."""

    value: int
    tokens: Mapping[str, int]
    counters: tuple[int, ...]

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        counters = tuple(int(counter) - (lane << _LANE_BITS) for lane, counter in enumerate(answer["counters"]))
        if len(counters) != LANES:
            raise ValueError(f"{len(counters)} counters instead of {LANES}")
        return cls(
            value=int(answer["value"]),
            tokens={str(token): int(amount) for token, amount in answer["tokens"].items()},
            counters=counters,
        )


class FragmentState(StrEnum):
    """Where a fragment is on its way into the chain."""

    PENDING = "Pending"
    IN_A_BLOCK = "InABlock"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class FragmentStatus:
    """What the node says of a fragment: *block* and *date* when it is in a block, *reason* when it was rejected."""

    state: FragmentState
    block: str | None = None
    date: BlockDate | None = None
    reason: str | None = None

    @classmethod
    def parse(cls, answer: str | Mapping[str, Any]) -> Self:
        if isinstance(answer, str):
            return cls(FragmentState(answer))
        ((name, details),) = answer.items()
        state = FragmentState(name)
        if state is FragmentState.IN_A_BLOCK:
            return cls(state, block=str(details["block"]), date=BlockDate.parse(details["date"]))
        return cls(state, reason=str(details["reason"]))


@dataclass(frozen=True, slots=True)
class Posted:
    """How a posted fragment was received: refused for *reason*, or (None) taken into the mempool, and no more."""

    id: str
    reason: str | None

    @property
    def accepted(self) -> bool:
        return self.reason is None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> tuple[Self, ...]:
        """Accepted fragments, then refused ones."""
        accepted = tuple(cls(str(fragment_id), None) for fragment_id in answer["accepted"])
        return accepted + tuple(cls(str(entry["id"]), str(entry["reason"])) for entry in answer["rejected"])


@dataclass(frozen=True, slots=True)
class ProposalStatus:
    """A proposal in a plan; *results* are the votes by option, None while they are encrypted."""

    id: str
    options: int
    votes_cast: int
    results: tuple[int, ...] | None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        ((kind, tally),) = answer["tally"].items()
        counted = tally if kind == "Public" else tally["state"].get("Decrypted")
        return cls(
            id=str(answer["proposal_id"]),
            options=int(answer["options"]["end"]),
            votes_cast=int(answer["votes_cast"]),
            results=tuple(map(int, counted["result"]["results"])) if counted else None,
        )


@dataclass(frozen=True, slots=True)
class VotePlanStatus:
    """A vote plan as the chain has it, its proposals in the plan's order."""

    id: str
    payload_type: str
    vote_start: BlockDate
    vote_end: BlockDate
    committee_end: BlockDate
    voting_token: str
    committee_member_keys: tuple[str, ...]
    proposals: tuple[ProposalStatus, ...]

    @property
    def results(self) -> tuple[tuple[int, ...], ...] | None:
        """The votes by proposal and option; None while any are encrypted."""
        results = tuple(proposal.results for proposal in self.proposals if proposal.results is not None)
        return results if len(results) == len(self.proposals) else None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        proposals = sorted(answer["proposals"], key=lambda proposal: int(proposal["index"]))
        return cls(
            id=str(answer["id"]),
            payload_type=str(answer["payload"]),
            vote_start=BlockDate.parse(answer["vote_start"]),
            vote_end=BlockDate.parse(answer["vote_end"]),
            committee_end=BlockDate.parse(answer["committee_end"]),
            voting_token=str(answer["voting_token"]),
            committee_member_keys=tuple(map(str, answer["committee_member_keys"])),
            proposals=tuple(map(ProposalStatus.parse, proposals)),
        )


def encrypted_tallies(plan: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The encrypted votes of a private plan by proposal, in base64; None for those that are open."""
    proposals = sorted(plan["proposals"], key=lambda proposal: int(proposal["index"]))
    states = [proposal["tally"]["Private"]["state"] for proposal in proposals]
    return tuple(str(state["Encrypted"]["encrypted_tally"]) if "Encrypted" in state else None for state in states)
