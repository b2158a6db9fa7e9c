"""The node's persistent fragment log: every fragment that it accepted, so that none is lost with its memory.

The node appends to one file for each hour (UTC), named ``YYYY-MM-DD_HH.log``; a record is the time of arrival
(eight bytes, seconds since 1970) and the fragment as it was posted. A node that is killed, or whose disk is
full, may leave half a record, and goes on behind that in the same file. So after half a record the next whole
one is searched for.
"""

from collections.abc import Callable, Container, Iterable, Iterator
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
    """No whole record begins at *offset* of *path*; reading went on at *resumed*, which is the end if none follows."""

    path: Path
    offset: int
    resumed: int


def read_fragment_log(directory: Path, on_damage: Callable[[Damage], object] | None = None) -> Iterator[LoggedFragment]:
    """The fragments in the log files of *directory* in the order of their arrival, none if it does not exist.

    Damaged places are passed over and told to *on_damage*. A fragment posted again after a restart is there again.
    """
    for path in sorted(directory.glob("*.log")):
        if not path.stat().st_size:
            continue
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            yield from _read_records(data, path, on_damage)


def to_post_again(
    logged: Iterable[LoggedFragment], date: BlockDate, in_blocks: Container[str], lost: Iterable[str]
) -> list[Fragment]:
    """Those of *logged* that a block of *date* could still take, each once, in the order in which to post them.

    *in_blocks* has the ids of fragments that are in blocks, *lost* those of fragments that stood in blocks which the
    chain lost. The latter go first, in the order of *lost*, for the chain had accepted them; the others follow in the
    order of arrival. Of these a vote is left out when a later one spends the same counter: a voter uses a counter
    again only because the earlier vote was refused. That holds also when the later one is in a block or has expired.
    """
    stood = dict.fromkeys(lost)
    waiting: dict[str, Fragment] = {}
    spending: dict[tuple[bytes, int, int], str] = {}
    for entry in logged:
        if entry.transaction is None:
            continue
        fragment_id, spent = entry.fragment.id, entry.spent
        if spent and spending.get(spent, fragment_id) != fragment_id:
            del waiting[spending.pop(spent)]
        if entry.transaction.valid_until < date or fragment_id in in_blocks:
            continue
        waiting.setdefault(fragment_id, entry.fragment)
        if spent and fragment_id not in stood:
            spending[spent] = fragment_id
    first = [waiting.pop(fragment_id) for fragment_id in stood if fragment_id in waiting]
    return [*first, *waiting.values()]


def _read_records(data: mmap, path: Path, on_damage: Callable[[Damage], object] | None) -> Iterator[LoggedFragment]:
    position = search_from = 0
    while position < len(data):
        record = _record_at(data, position)
        if record is None:
            resumed = _next_record(data, search_from)
            if on_damage:
                on_damage(Damage(path, position, resumed))
            position = resumed
            continue
        yield record
        # Half a record can look whole, its missing bytes taken from the records behind it. What shows is that
        # nothing begins at its end; so the search begins within it.
        search_from = position + 1
        position += _TIME.size + len(record.fragment.raw)


def _next_record(data: mmap, start: int) -> int:
    """The first position from *start* on where a record stands for certain, or the end."""
    for position in range(start, len(data)):
        record = _framed_at(data, position)
        if record and record.fragment.kind in _TRANSACTIONS:
            return position
    return len(data)


def _record_at(data: mmap, position: int) -> LoggedFragment | None:
    """The record at *position*: one whose content bears it out, or which at least is followed by such a one."""
    record = _framed_at(data, position)
    if record is None or record.fragment.kind in _TRANSACTIONS:
        return record
    end = position + _TIME.size + len(record.fragment.raw)
    following = _framed_at(data, end)
    return record if end == len(data) or (following and following.fragment.kind in _TRANSACTIONS) else None


def _framed_at(data: mmap, position: int) -> LoggedFragment | None:
    """What stands at *position* if it has the frame of a record, and the content of its kind where that is known."""
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
