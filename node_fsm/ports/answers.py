"""What the node's REST interface answers, as records.

The parsers raise NOT_AS_EXPECTED: also for a figure, date or time that the chain has no room for, so that nobody counts
with it later.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from node_fsm.chain.limits import LANES
from node_fsm.core.chain_time import BlockDate, ChainClock
from node_fsm.core.printable import shortened

_LANE_BITS = 29
_U32, _U64 = 2**32, 2**64


def hex_hash(value: object) -> str:
    """The 64 hex digits of a hash, in lower case."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(f"{shortened(value)} is no hash")
    return value


def whole_number(value: object, below: int = _U64, least: int = 0) -> int:
    """A whole number, which the node also writes as text."""
    number = int(value) if isinstance(value, int | str) else None
    if number is None or not least <= number < below:
        raise ValueError(f"{shortened(value)} is no whole number from {least} to {below - 1}")
    return number


def _date(value: object) -> BlockDate:
    date = BlockDate.parse(str(value))
    if max(date) >= _U32:
        raise ValueError(f"{date} is no date of a chain")
    return date


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(str(value))
    if time.tzinfo is None:
        raise ValueError(f"{shortened(value)} has no time zone")
    return time


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
            height=whole_number(answer["lastBlockHeight"], _U32),
            tip=hex_hash(answer["lastBlockHash"]),
            tip_date=_date(answer["lastBlockDate"]),
            last_block_time=_time(time) if time else None,
            peers_connected=whole_number(answer["peerConnectedCnt"], _U32),
        )


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """The parameters of the chain that the node runs."""

    block0_hash: str
    clock: ChainClock

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(
            block0_hash=hex_hash(answer["block0Hash"]),
            clock=ChainClock(
                start=_time(answer["block0Time"]),
                slot_duration=whole_number(answer["slotDuration"], 256, least=1),
                slots_per_epoch=whole_number(answer["slotsPerEpoch"], _U32, least=1),
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
        told = [whole_number(counter, _U32) for counter in answer["counters"]]
        counters = tuple(counter - (lane << _LANE_BITS) for lane, counter in enumerate(told))
        if len(counters) != LANES:
            raise ValueError(f"{len(counters)} counters instead of {LANES}")
        return cls(
            value=whole_number(answer["value"]),
            tokens={str(token): whole_number(amount) for token, amount in answer["tokens"].items()},
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
            return cls(state, block=hex_hash(details["block"]), date=_date(details["date"]))
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
            options=whole_number(answer["options"]["end"], _U32),
            votes_cast=whole_number(answer["votes_cast"]),
            results=tuple(map(whole_number, counted["result"]["results"])) if counted else None,
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
            vote_start=_date(answer["vote_start"]),
            vote_end=_date(answer["vote_end"]),
            committee_end=_date(answer["committee_end"]),
            voting_token=str(answer["voting_token"]),
            committee_member_keys=tuple(map(str, answer["committee_member_keys"])),
            proposals=tuple(map(ProposalStatus.parse, proposals)),
        )


def encrypted_tallies(plan: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The encrypted votes of a private plan by proposal, in base64; None for those that are open."""
    proposals = sorted(plan["proposals"], key=lambda proposal: int(proposal["index"]))
    states = [proposal["tally"]["Private"]["state"] for proposal in proposals]
    return tuple(str(state["Encrypted"]["encrypted_tally"]) if "Encrypted" in state else None for state in states)
