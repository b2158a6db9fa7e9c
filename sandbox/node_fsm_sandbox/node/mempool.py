"""Fragments that wait for a block, and what became of all that were seen."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from node_fsm.chain.blocks import BlockHeader
from node_fsm.core.chain_time import BlockDate, utc_now
from node_fsm_sandbox.node.chain import Turn
from node_fsm_sandbox.node.messages import Message
from node_fsm_sandbox.node.parameters import ExpiryFault, Parameters
from node_fsm_sandbox.node.received import ReceivedLog

_logger = logging.getLogger("jormungandr::fragment::pool")

Origin = Literal["Rest", "Network"]
Status = str | dict[str, Any]
"""As REST shows it."""

PENDING = "Pending"
_EXPIRED = "fragment expired"
_ALREADY_IN_LOG = "FragmentAlreadyInLog"
_INVALID = "FragmentInvalid"
_PREVIOUS_INVALID = "PreviousFragmentInvalid"
_OVERFLOW = "PoolOverflow"
_EXPIRY_REASONS = {ExpiryFault.EXPIRED: "FragmentExpired", ExpiryFault.TOO_LONG: "FragmentValidForTooLong"}
_ERRORS = {_INVALID, _PREVIOUS_INVALID, _OVERFLOW}


class Verdict(NamedTuple):
    """How fragments were received: ids that were taken, and (id, reason) of those that were not."""

    accepted: list[str]
    rejected: list[tuple[str, str]]

    @property
    def is_error(self) -> bool:
        """Whether a refusal is one that REST answers with HTTP 400."""
        return any(reason in _ERRORS for _, reason in self.rejected)


@dataclass(slots=True)
class LogEntry:
    """What is known of a fragment; *date* is that of the block that decided, None while it waits."""

    id: str
    origin: Origin
    received_at: datetime
    updated_at: datetime
    status: Status = PENDING
    date: BlockDate | None = None

    @property
    def is_in_a_block(self) -> bool:
        return isinstance(self.status, dict) and "InABlock" in self.status


class Mempool:
    """The pool and the log of fragments. Both are in memory only, but what is accepted goes to *received* too."""

    def __init__(
        self,
        parameters: Parameters,
        received: ReceivedLog | None,
        max_entries: int,
        max_log_entries: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._parameters = parameters
        self._received = received
        self._max_entries = max_entries
        self._max_log_entries = max(max_entries, max_log_entries)
        self._now = now
        self._pool: OrderedDict[str, Message] = OrderedDict()
        self._log: OrderedDict[str, LogEntry] = OrderedDict()
        self.size = 0
        """Bytes of all fragments that wait."""
        self.accepted_count = 0
        self.rejected_count = 0

    @property
    def usage(self) -> float:
        """How full the pool is, 0 to 1."""
        return len(self._pool) / self._max_entries if self._max_entries else 1.0

    def log(self) -> list[LogEntry]:
        """What is known, the latest change first."""
        return list(reversed(self._log.values()))

    def status(self, fragment_id: str) -> Status | None:
        """What became of a fragment; None when nothing is known."""
        entry = self._log.get(fragment_id)
        return entry.status if entry else None

    def receive(self, messages: Sequence[Message], origin: Origin, *, fail_fast: bool) -> Verdict:
        """Take fragments into the pool; with *fail_fast* the first invalid one keeps out all after it."""
        verdict = Verdict([], [])
        waiting = list(messages)
        while waiting:
            message = waiting.pop(0)
            reason = self._fault(message)
            if reason is None:
                self._take(message, origin)
                verdict.accepted.append(message.id)
                continue
            verdict.rejected.append((message.id, reason))
            if fail_fast and reason == _INVALID:
                verdict.rejected.extend((rest.id, _PREVIOUS_INVALID) for rest in waiting)
                break
        return verdict

    def candidates(self, until: datetime) -> Iterator[Message]:
        """What waits, the oldest first, for as long as it is not *until* yet."""
        for message in list(self._pool.values()):
            if self._now() >= until:
                return
            yield message

    def reject(self, message: Message, reason: str, date: BlockDate) -> None:
        """The ledger did not take it for the block of *date*."""
        self._drop(message.id)
        self.rejected_count += 1
        self._update(message.id, {"Rejected": {"reason": reason}}, date)

    def follow(self, turn: Turn) -> None:
        """Bring the pool and the log up to where the chain went."""
        if turn.left:
            self._forget_after(turn.ancestor.date)
        for header, messages in turn.blocks:
            for message in messages:
                self._drop(message.id)
                self._update(message.id, _in_block(header), header.date)
        self._drop_expired()

    def _fault(self, message: Message) -> str | None:
        """Why a fragment is not taken."""
        if message.id in self._log:
            return _ALREADY_IN_LOG
        transaction = message.transaction
        if fault := self._parameters.fault_of_expiry(transaction.valid_until, self._next_slot()):
            return _EXPIRY_REASONS[fault]
        spent = sum(source.value for source in transaction.inputs)
        if spent < sum(output.value for output in transaction.outputs):
            return _INVALID
        return _OVERFLOW if len(self._pool) >= self._max_entries else None

    def _take(self, message: Message, origin: Origin) -> None:
        now = self._now()
        if self._received:
            try:
                self._received.append(message.raw, now)
            except OSError as error:
                _logger.error("failed to write persistent fragment log entry: %s", error)  # noqa: TRY400 - no trace
        self._pool[message.id] = message
        self.size += len(message.raw)
        self.accepted_count += 1
        self._log[message.id] = LogEntry(message.id, origin, now, now)
        if len(self._log) > self._max_log_entries:
            self._log.popitem(last=False)

    def _drop(self, fragment_id: str) -> None:
        message = self._pool.pop(fragment_id, None)
        if message:
            self.size -= len(message.raw)

    def _update(self, fragment_id: str, status: dict[str, Any], date: BlockDate) -> None:
        now = self._now()
        entry = self._log.setdefault(fragment_id, LogEntry(fragment_id, "Network", now, now))
        if entry.is_in_a_block and "InABlock" not in status:
            return
        entry.status, entry.date, entry.updated_at = status, date, now
        self._log.move_to_end(fragment_id)

    def _forget_after(self, date: BlockDate) -> None:
        for entry in list(self._log.values()):
            if entry.date is not None and entry.date > date:
                del self._log[entry.id]

    def _drop_expired(self) -> None:
        date = self._next_slot()
        for message in [message for message in self._pool.values() if message.transaction.valid_until < date]:
            self.reject(message, _EXPIRED, date)

    def _next_slot(self) -> BlockDate:
        # The slot after the last one of an epoch counts as one more of the same epoch, as in the node.
        epoch, slot = self._parameters.clock.date_at(self._now())
        return BlockDate(epoch, slot + 1)


def _in_block(header: BlockHeader) -> dict[str, Any]:
    return {"InABlock": {"date": str(header.date), "block": header.id}}
