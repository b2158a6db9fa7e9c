"""Minting blocks: whose turn it is, when, and what became of each turn."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from node_fsm.core.chain_time import BlockDate, utc_now
from node_fsm_sandbox.formats.crypto import SigningKey
from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.log import timestamp
from node_fsm_sandbox.node.mempool import Mempool
from node_fsm_sandbox.node.messages import Message
from node_fsm_sandbox.node.parameters import Parameters

_CLOCK_LOOK = 5.0
"""Seconds after which the wall clock is read again while a turn is awaited: it may be set meanwhile."""

_FILLING = 0.5
"""The part of a slot that may be spent on trying fragments; a node that does that has no time for anything else."""

_logger = logging.getLogger("jormungandr::leadership::process")


@dataclass(slots=True)
class _Turn:
    date: BlockDate
    scheduled_at: datetime
    created_at: datetime
    woken_at: datetime
    finished_at: datetime | None = None
    status: str | dict[str, Any] = "Pending"


class LeaderLog:
    """What became of the last turns."""

    def __init__(self, max_entries: int) -> None:
        self._turns: deque[_Turn] = deque(maxlen=max_entries)

    def begin(self, date: BlockDate, scheduled_at: datetime, now: datetime) -> _Turn:
        """Note that a turn begins."""
        turn = _Turn(date, scheduled_at, now, now)
        self._turns.appendleft(turn)
        return turn

    def shown(self) -> list[dict[str, Any]]:
        """The log as REST shows it, the latest turn first."""
        return [
            {
                "created_at_time": timestamp(turn.created_at),
                "scheduled_at_time": timestamp(turn.scheduled_at),
                "scheduled_at_date": str(turn.date),
                "wake_at_time": timestamp(turn.woken_at),
                "finished_at_time": timestamp(turn.finished_at) if turn.finished_at else None,
                "status": turn.status,
            }
            for turn in self._turns
        ]


def next_turn(parameters: Parameters, leader: bytes, now: datetime) -> BlockDate | None:
    """The next slot after the present one that is *leader*'s, in this epoch or the next; None when there is none.

    Nobody mints in the first slot of an epoch: the node makes its schedule there, for the slots after it.
    """
    clock = parameters.clock
    epoch, slot = clock.date_at(now)
    slots = [BlockDate(epoch, later) for later in range(slot + 1, clock.slots_per_epoch)]
    slots += [BlockDate(epoch + 1, later) for later in range(clock.slots_per_epoch)]
    return next((date for date in slots if date.slot and parameters.leader_of(date) == leader), None)


class Leader:
    """Mints the blocks of one leader's turns; *on_block* is told of each."""

    def __init__(
        self,
        key: SigningKey,
        chain: Chain,
        mempool: Mempool,
        log: LeaderLog,
        on_block: Callable[[str], None],
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._key = key
        self._chain = chain
        self._mempool = mempool
        self._log = log
        self._on_block = on_block
        self._now = now

    async def run(self) -> None:
        """Mint until cancelled; NodeError when a block cannot be stored."""
        parameters = self._chain.ledger.parameters
        epoch_seconds = parameters.clock.slots_per_epoch * parameters.clock.slot_duration
        while True:
            date = next_turn(parameters, self._key.public_key, self._now())
            if date is None:
                await asyncio.sleep(min(epoch_seconds, _CLOCK_LOOK))
                continue
            start = parameters.clock.time_at(date)
            while (delay := (start - self._now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock may be set
                await asyncio.sleep(min(delay, _CLOCK_LOOK))
            self._take_turn(date, start)

    def _take_turn(self, date: BlockDate, start: datetime) -> None:
        turn = self._log.begin(date, start, self._now())
        slot = timedelta(seconds=self._chain.ledger.parameters.clock.slot_duration)
        if self._now() >= start + slot:
            _logger.error("Eek... Too late, we missed an event schedule, system time might be off?")
            turn.status = {"Rejected": {"reason": "Missed the deadline to compute the schedule"}}
        elif date <= self._chain.tip.date:
            turn.status = {"Rejected": {"reason": f"the chain is at {self._chain.tip.date} already"}}
        else:
            parent = self._chain.tip

            def reject(message: Message, reason: str) -> None:
                self._mempool.reject(message, reason, date)

            header = self._chain.make(self._key, date, self._mempool.candidates(start + slot * _FILLING), reject)
            turn.status = {"Block": {"block": header.id, "parent": parent.id, "chain_length": header.height}}
            self._on_block(header.id)
        turn.finished_at = self._now()
