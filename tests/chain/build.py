"""Chain data made by hand, for what no honest node would write."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import pack

from node_fsm.chain.blocks import NO_PARENT, BlockVersion
from node_fsm.chain.fragments import FragmentKind

ANN, BOB, EVE = (bytes([number]) * 32 for number in (1, 2, 3))
LEADER = bytes([9]) * 32
TOKEN_NAME = b"tok"
SIGNATURE = bytes(range(1, 65))
SPINE_OF_BLOCK0 = pack(">IIBB", 1, 0, 0, 0)


def fragment(kind: FragmentKind, content: bytes) -> bytes:
    """A fragment in its frame."""
    return pack(">IBB", 2 + len(content), 0, kind) + content


def block(
    fragments: Iterable[bytes] = (), *, parent: str = NO_PARENT, height: int = 0, date: tuple[int, int] = (0, 0)
) -> bytes:
    """A block; unsigned without a parent, else by a BFT leader."""
    content = b"".join(fragments)
    version = BlockVersion.UNSIGNED if parent == NO_PARENT else BlockVersion.BFT
    header = pack(">BIIII", version, len(content), *date, height)
    header += blake2b(content, digest_size=32).digest() + bytes.fromhex(parent)
    if version is BlockVersion.BFT:
        header += LEADER + SIGNATURE
    return bytes([version]) + header + content


def block_id(raw: bytes) -> str:
    """The id of a block made by `block`."""
    size = 81 if raw[0] == BlockVersion.UNSIGNED else 177
    return blake2b(raw[1 : 1 + size], digest_size=32).hexdigest()


def chain(block0: bytes, *later: tuple[tuple[int, int], Iterable[bytes]]) -> bytes:
    """A chain of *block0* and blocks of the given dates and fragments."""
    blocks = [block0]
    for height, (date, fragments) in enumerate(later, start=1):
        blocks.append(block(fragments, parent=block_id(blocks[-1]), height=height, date=date))
    return b"".join(blocks)


def parameter(tag: int, payload: bytes) -> bytes:
    """One parameter of a configuration."""
    return pack(">H", tag << 9 | len(payload)) + payload


PARAMETERS: dict[int, bytes] = {
    1: b"\x02",
    2: pack(">Q", 1_700_000_000),
    3: pack(">H", 1),
    4: pack(">I", 60),
    5: b"\x01",
    6: pack(">I", 102400),
    8: pack(">Q", 100),
    9: pack(">I", 102400),
    14: pack(">QQQ", 0, 0, 0),
    15: pack(">I", 100),
    16: pack(">I", 43200),
}


def initial(*more: tuple[int, bytes], without: int | None = None, change: dict[int, bytes] | None = None) -> bytes:
    """The configuration of a test chain."""
    parameters = [(tag, payload) for tag, payload in (PARAMETERS | (change or {})).items() if tag != without]
    parameters += more
    content = b"".join(parameter(tag, payload) for tag, payload in parameters)
    return fragment(FragmentKind.INITIAL, pack(">H", len(parameters)) + content)


def address(key: bytes, *, kind: int = 0x05, test: bool = True) -> bytes:
    """A raw address."""
    return bytes([kind | 0x80 * test]) + key


def fund(*outputs: tuple[bytes, int], inputs: bytes = b"") -> bytes:
    """A block 0's fund of raw addresses and values."""
    body = b"".join(raw + pack(">Q", value) for raw, value in outputs)
    spine = pack(">IIBB", 0, 0, 1 if inputs else 0, len(outputs))
    return fragment(FragmentKind.TRANSACTION, spine + inputs + body)


def token(account: bytes, value: int, name: bytes = TOKEN_NAME) -> bytes:
    """A minted token of a block 0."""
    content = bytes([len(name)]) + name + b"\0" + account + pack(">Q", value) + SPINE_OF_BLOCK0
    return fragment(FragmentKind.MINT_TOKEN, content)


def plan_content(
    *,
    start: tuple[int, int] = (0, 0),
    end: tuple[int, int] = (1, 0),
    options: Iterable[int] = (3, 2),
    private: bool = False,
    member_keys: Sequence[bytes] = (bytes(32),),
    action: bytes = b"\0",
    name: bytes = TOKEN_NAME,
) -> bytes:
    """A vote plan as it is hashed."""
    proposals = [bytes([index + 1]) * 32 + bytes([count]) + action for index, count in enumerate(options)]
    dates = pack(">IIIIII", *start, *end, 2, 0)
    keys = bytes([len(member_keys)]) + b"".join(member_keys) if private else b"\0"
    head = dates + bytes([2 if private else 1, len(proposals)])
    return head + b"".join(proposals) + keys + bytes(28) + bytes([len(name)]) + name


def plan(content: bytes) -> bytes:
    """A block 0's vote plan."""
    return fragment(FragmentKind.VOTE_PLAN, content + SPINE_OF_BLOCK0 + LEADER + SIGNATURE)


def plan_id(content: bytes) -> str:
    """The id of the plan of that content."""
    return blake2b(content, digest_size=32).hexdigest()


def account_spine(account: bytes, *, expiry: tuple[int, int] = (1, 59), counter: int = 0) -> bytes:
    """A transaction that spends nothing from one account."""
    inputs = b"\xff" + pack(">Q", 0) + account
    return pack(">IIBB", *expiry, 1, 0) + inputs + b"\2" + pack(">I", counter) + SIGNATURE


def vote(
    plan: str,
    account: bytes = ANN,
    *,
    proposal: int = 0,
    choice: int = 0,
    spine: bytes | None = None,
    expiry: tuple[int, int] = (1, 59),
    counter: int = 0,
) -> bytes:
    """A public vote."""
    content = bytes.fromhex(plan) + bytes([proposal, 1, choice])
    return fragment(FragmentKind.VOTE_CAST, content + (spine or account_spine(account, expiry=expiry, counter=counter)))


def private_vote(
    plan: str, account: bytes = ANN, *, proposal: int = 0, options: int = 3, ballot: bytes | None = None
) -> bytes:
    """A private vote with a *ballot* and its proof, or one of zeros."""
    zeros = bytes([options]) + bytes(options * 64) + b"\2" + bytes(2 * 256) + bytes(32)
    content = bytes.fromhex(plan) + bytes([proposal, 2]) + (ballot or zeros)
    return fragment(FragmentKind.VOTE_CAST, content + account_spine(account))
