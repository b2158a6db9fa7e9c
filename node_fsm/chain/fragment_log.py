"""The node's persistent fragment log: every fragment that it accepted, so that none is lost with its memory.

The node appends to one file for each hour (UTC), named ``YYYY-MM-DD_HH.log``; an entry is the time of arrival
(eight bytes, seconds since 1970) and the fragment as it was posted. A node that is killed, or whose disk is
full, may leave half an entry, and goes on behind that in the same file. So after half an entry the next whole
one is searched for.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct
from typing import NamedTuple, Self

from node_fsm.chain.certificates import decode_vote_cast, decode_vote_plan, decode_vote_tally
from node_fsm.chain.errors import MalformedError
from node_fsm.chain.fragments import LENGTH, Fragment, FragmentKind
from node_fsm.chain.transactions import Transaction, decode_transaction
from node_fsm.core.block_date import BlockDate

_TIME = Struct(">Q")

# How the transaction is read from each kind of fragment that an election posts.
_TRANSACTIONS: dict[FragmentKind, Callable[[Fragment], Transaction]] = {
    FragmentKind.TRANSACTION: decode_transaction,
    FragmentKind.VOTE_PLAN: lambda fragment: decode_vote_plan(fragment).transaction,
    FragmentKind.VOTE_CAST: lambda fragment: decode_vote_cast(fragment).transaction,
    FragmentKind.VOTE_TALLY: lambda fragment: decode_vote_tally(fragment).transaction,
}


class LoggedFragment(NamedTuple):
    """A fragment, the time at which the node accepted it in seconds since 1970, and the transaction in it.

    ``transaction`` is None for kinds that an election does not post.
    """

    time: int
    fragment: Fragment
    transaction: Transaction | None

    @classmethod
    def of(cls, fragment: Fragment, time: int) -> Self:
        """Decode *fragment*; MalformedError when it is not what its tag says."""
        read_transaction = _TRANSACTIONS.get(fragment.kind)
        return cls(time, fragment, read_transaction(fragment) if read_transaction else None)

    @property
    def spent(self) -> tuple[bytes, int, int] | None:
        """The account, lane and counter that a vote spends: of several that spend the same, a chain takes one."""
        if self.fragment.kind is not FragmentKind.VOTE_CAST or self.transaction is None:
            return None
        if len(self.transaction.inputs) != 1:
            return None
        account, witness = self.transaction.inputs[0].account, self.transaction.witnesses[0]
        if account is None or witness.lane is None or witness.counter is None:
            return None
        return account, witness.lane, witness.counter


class Damage(NamedTuple):
    """No whole entry begins at *offset* of *path*; reading went on at *resumed*, which is the end if none follows."""

    path: Path
    offset: int
    resumed: int


class FragmentLog:
    """The log files of *directory*, read from where the last reading ended; there need be none."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._places: dict[Path, _Place] = {}

    def read(self, on_damage: Callable[[Damage], object] | None = None) -> Iterator[LoggedFragment]:
        """The fragments that were logged since the last reading, in the order of their arrival.

        Damaged places are passed over and told to *on_damage*; one at the end of a file may be an entry that is still
        being written, and is looked at again. A fragment posted again after a restart is there again.
        """
        for path in sorted(self._directory.glob("*.log")):
            place = self._places.setdefault(path, _Place())
            if path.stat().st_size <= place.position:
                continue
            with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                yield from _read_entries(data, place, path, on_damage)


class PostAgain:
    """What has to be posted again when a node forgets what it had accepted, or the chain loses blocks.

    Fed with what was :meth:`logged` and :meth:`lost`; what a block holds is forgotten, so that little is kept.
    """

    def __init__(self) -> None:
        self._stood: dict[str, LoggedFragment] = {}
        self._waiting: dict[str, LoggedFragment] = {}
        self._spending: dict[tuple[bytes, int, int], str] = {}
        """By what is spent, the one of *_waiting* that spends it."""
        self._expired: dict[object, LoggedFragment] = {}
        """Votes by what they spend: their voters spent nothing of it otherwise, as far as is known here."""

    def logged(self, entry: LoggedFragment, date: BlockDate, in_blocks: Container[str]) -> None:
        """Take the next of what the node logged, while the tip is dated *date* and blocks hold *in_blocks* (ids).

        A vote that waits is left out when a later one spends the same counter: a voter uses a counter again only
        because the earlier vote was refused. That holds also when the later one is in a block or has expired.
        """
        if entry.transaction is None or entry.fragment.id in self._stood:
            return
        fragment_id, spent = entry.fragment.id, entry.spent
        if spent and self._spending.get(spent, fragment_id) != fragment_id:
            del self._waiting[self._spending.pop(spent)]
        self._expired.pop(spent or fragment_id, None)
        if _is_over(entry, date):
            self._expire(entry)
        if _is_over(entry, date) or fragment_id in in_blocks:
            return
        self._waiting.setdefault(fragment_id, entry)
        if spent:
            self._spending[spent] = fragment_id

    def lost(self, fragments: Iterable[Fragment]) -> None:
        """Take what stood in blocks that the chain has lost: it goes before what was lost earlier."""
        entries = {}
        for fragment in fragments:
            with suppress(MalformedError):  # of a kind that the chain takes and an election does not post
                entries[fragment.id] = LoggedFragment.of(fragment, time=0)
        self._stood = entries | {id_: entry for id_, entry in self._stood.items() if id_ not in entries}
        for fragment_id in entries:
            self._forget(fragment_id)

    def fragments(
        self, date: BlockDate, in_blocks: Container[str], refused: Container[str] = frozenset()
    ) -> list[Fragment]:
        """What to post of all that a block of *date* could still take and no block holds, each once and in order.

        What stood in lost blocks goes first, for the chain had accepted it; the rest in the order of its arrival. As
        long as it can come into a block again, being neither expired nor among the *refused* (ids), nothing is posted
        that spends the same: that was refused because of it.
        """
        for entry in (*self._stood.values(), *self._waiting.values()):
            if _is_over(entry, date) and entry.fragment.id not in in_blocks:
                self._expire(entry)
        self._stood = {
            id_: entry for id_, entry in self._stood.items() if not _is_over(entry, date) and id_ not in in_blocks
        }
        for id_, entry in list(self._waiting.items()):
            if _is_over(entry, date) or id_ in in_blocks:
                self._forget(id_)
        spent = {entry.spent for id_, entry in self._stood.items() if entry.spent and id_ not in refused}
        waiting = (entry for entry in self._waiting.values() if entry.spent not in spent)
        return [entry.fragment for entry in (*self._stood.values(), *waiting)]

    def waiting(self) -> list[LoggedFragment]:
        """What :meth:`fragments` gave last, and what it kept back."""
        return [*self._stood.values(), *self._waiting.values()]

    def expired(self, in_blocks: Container[str]) -> list[LoggedFragment]:
        """The votes that no block took in time."""
        self._expired = {key: entry for key, entry in self._expired.items() if entry.fragment.id not in in_blocks}
        return list(self._expired.values())

    def _expire(self, entry: LoggedFragment) -> None:
        if entry.fragment.kind is FragmentKind.VOTE_CAST:
            self._expired[entry.spent or entry.fragment.id] = entry

    def _forget(self, fragment_id: str) -> None:
        entry = self._waiting.pop(fragment_id, None)
        if entry and entry.spent:
            del self._spending[entry.spent]


def _is_over(entry: LoggedFragment, date: BlockDate) -> bool:
    """Whether no block of *date* or later takes it."""
    return entry.transaction is None or entry.transaction.valid_until < date


@dataclass(slots=True)
class _Place:
    """Where reading goes on in a file, and from where on the next entry is searched for if none begins there."""

    position: int = 0
    search_from: int = 0


def _read_entries(
    data: mmap, place: _Place, path: Path, on_damage: Callable[[Damage], object] | None
) -> Iterator[LoggedFragment]:
    position = place.position
    while position < len(data):
        entry = _entry_at(data, position)
        if entry is None:
            resumed = _next_entry(data, place.search_from)
            if on_damage:
                on_damage(Damage(path, position, resumed))
            position = resumed
            continue
        # Half an entry can look whole, its missing bytes taken from the entries behind it. What shows is that
        # nothing begins at its end; so the search begins within it.
        place.search_from = position + 1
        position = place.position = position + _TIME.size + len(entry.fragment.raw)
        yield entry


def _next_entry(data: mmap, start: int) -> int:
    """The first position from *start* on where an entry stands for certain, or the end."""
    for position in range(start, len(data)):
        entry = _framed_at(data, position)
        if entry and entry.fragment.kind in _TRANSACTIONS:
            return position
    return len(data)


def _entry_at(data: mmap, position: int) -> LoggedFragment | None:
    """The entry at *position*: one whose content bears it out, or which at least is followed by such a one."""
    entry = _framed_at(data, position)
    if entry is None or entry.fragment.kind in _TRANSACTIONS:
        return entry
    end = position + _TIME.size + len(entry.fragment.raw)
    following = _framed_at(data, end)
    return entry if end == len(data) or (following and following.fragment.kind in _TRANSACTIONS) else None


def _framed_at(data: mmap, position: int) -> LoggedFragment | None:
    """What stands at *position* if it has the frame of an entry, and the content of its kind where that is known."""
    start = position + _TIME.size
    if start + LENGTH.size > len(data):
        return None
    end = start + LENGTH.size + LENGTH.unpack_from(data, start)[0]
    if end > len(data):
        return None
    try:
        return LoggedFragment.of(Fragment.from_bytes(data[start:end], start), _TIME.unpack_from(data, position)[0])
    except MalformedError:
        return None
