"""The part of a genesis file that configures the chain."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from node_fsm_sandbox.jcli.documents import Node, Plain
from node_fsm_sandbox.jcli.values import from_hex, public_key, unsigned

_UNITS = {
    name: seconds
    for seconds, names in (
        (1, "s sec secs second seconds"),
        (60, "m min mins minute minutes"),
        (3_600, "h hr hrs hour hours"),
        (86_400, "d day days"),
        (604_800, "w week weeks"),
    )
    for name in names.split()
}
_LAST_DATE = 0xF_FFFF_FFFF
_HASH_SIZE = 32
_ANY = 1 << 64

Read = Callable[[Node], Any]


def configuration(node: Node) -> dict[str, Any]:
    """The configuration as ``genesis decode`` would print it, defaults filled in; DocumentError."""
    node.only(FIELDS)
    values: dict[str, Any] = {}
    for name, (read, default) in FIELDS.items():
        field = node.field(name) if default is _REQUIRED else node.optional(name)
        if field and field.is_null() and default is None:
            continue
        value = read(field) if field else default() if callable(default) else default
        if value is not None:
            values[name] = value
    return values


def _number(what: str, bits: int = 64, least: int = 0, most: int = _ANY) -> Read:
    """A reader of whole numbers from *least* to *most*; *what* says in messages what they are."""

    def read(node: Node) -> int:
        value = node.number(bits)
        if value < least:
            raise node.error(f"cannot have less than {least} {what}")
        if value > most:
            raise node.error(f"cannot have more than {most} {what}")
        return value

    return read


def _duration(what: str, least: int, most: int) -> Read:
    """A reader of whole seconds, as a number or as in ``1h 30m``."""
    number = _number(what, 64, least, most)

    def read(node: Node) -> Any:
        if node.is_number() or not isinstance(node.value, str):
            return number(node)
        return number(Node(Plain(node.convert(_seconds)), node.path))

    return read


def _seconds(text: str) -> int:
    if not re.fullmatch(r"(\d+ *[a-z]+ *)+", text):
        raise ValueError("expected number at 0")
    seconds = 0
    for count, unit in re.findall(r"(\d+) *([a-z]+)", text):
        if unit not in _UNITS:
            raise ValueError(f'unknown time unit "{unit}"')
        seconds += int(count) * _UNITS[unit]
    return seconds


def _choice(*names: str) -> Read:
    return lambda node: node.choice({name: name for name in names})


def _sequence(read: Read) -> Read:
    return lambda node: [read(item) for item in node.items()]


def _leader_id(node: Node) -> str:
    node.convert(public_key)
    return node.text()


def _committee_id(node: Node) -> str:
    if len(data := node.convert(from_hex)) != _HASH_SIZE:
        raise node.error("Invalid string length")
    return data.hex()


def _coefficient(node: Node) -> str | int:
    """The share of slots that have a leader, in thousandths: finer ones are cut off in a text, rounded in a number."""
    text = node.text()
    if node.is_number() and node.whole_number() is None:
        text = f"{float(text):.3f}"
    whole, _, decimals = text.partition(".")
    try:
        thousandths = unsigned(64)(whole + f"{decimals}000"[:3])
    except ValueError:
        raise node.error("Failed to parse milli") from None
    if not 1 <= thousandths <= 1000:
        raise node.error("value out of bound, can only accept within range of 0.001 and 1.000")
    return 1 if thousandths == 1000 else f"0.{thousandths:03}"


def _ratio(node: Node) -> str:
    numerator, _, denominator = node.text().partition("/")
    try:
        return f"{unsigned(64)(numerator)}/{_positive(unsigned(64)(denominator))}"
    except ValueError as error:
        raise node.error(str(error)) from None


def _positive(number: int) -> int:
    if not number:
        raise ValueError("number would be zero for non-zero type")
    return number


def _mapping(required: Mapping[str, Read], optional: Mapping[str, Read], *, exact: bool = True) -> Read:
    """A reader of mappings of these fields, and no others when *exact*."""

    def read(node: Node) -> dict[str, Any]:
        if exact:
            node.only([*required, *optional])
        values = {name: read_field(node.field(name)) for name, read_field in required.items()}
        found = {name: (node.optional(name), read_field) for name, read_field in optional.items()}
        return values | {name: read_field(field) for name, (field, read_field) in found.items() if field}

    return read


def _variant(read: Mapping[str, Read]) -> Read:
    """A reader of mappings of one of these fields."""

    def read_one(node: Node) -> dict[str, Any]:
        name, value = node.variant(read)
        return {name: read[name](value)}

    return read_one


_U32, _U64 = _number("", 32), _number("")
_NONZERO = _number("", 64, 1)
_FEE_NAMES = ("pool_registration", "stake_delegation", "owner_stake_delegation")
_FEES = _mapping(
    dict.fromkeys(("constant", "coefficient", "certificate"), _U64),
    {
        "per_certificate_fees": _mapping({}, {f"certificate_{name}": _NONZERO for name in _FEE_NAMES}),
        "per_vote_certificate_fees": _mapping({}, {f"certificate_vote_{name}": _NONZERO for name in ("plan", "cast")}),
    },
)
_REWARDS = _mapping({"constant": _U64, "ratio": _ratio, "epoch_start": _U32, "epoch_rate": _number("", 32, 1)}, {})
_CAPPING = _mapping(dict.fromkeys(("min", "max"), _number("", 32, 1)), {}, exact=False)

_REQUIRED = object()

FIELDS: dict[str, tuple[Read, Any]] = {
    "block0_date": (_number("seconds", 64, 0, _LAST_DATE), lambda: int(time.time())),
    "discrimination": (_choice("test", "production"), _REQUIRED),
    "block0_consensus": (_choice("bft", "genesis_praos"), _REQUIRED),
    "consensus_leader_ids": (_sequence(_leader_id), list),
    "linear_fees": (_FEES, _REQUIRED),
    "proposal_expiration": (_U32, 100),
    "slots_per_epoch": (_number("slots in an epoch", 64, 1, 1_000_000), 720),
    "slot_duration": (_duration("seconds between 2 slots", 1, 255), 5),
    "kes_update_speed": (_duration("seconds between two KES Update", 60, 31_536_000), 43_200),
    "consensus_genesis_praos_active_slot_coeff": (_coefficient, "0.100"),
    "block_content_max_size": (_U32, 102_400),
    "epoch_stability_depth": (_U32, 102_400),
    "tx_max_expiry_epochs": (_number("", 8), None),
    "fees_go_to": (_choice("rewards", "treasury"), None),
    "treasury": (_U64, None),
    "treasury_parameters": (_mapping({"fixed": _U64, "ratio": _ratio}, {"max_limit": _NONZERO}), None),
    "total_reward_supply": (_U64, None),
    "reward_parameters": (_variant({"linear": _REWARDS, "halving": _REWARDS}), None),
    "reward_constraints": (
        _mapping({}, {"reward_drawing_limit_max": _ratio, "pool_participation_capping": _CAPPING}, exact=False),
        dict,
    ),
    "committees": (_sequence(_committee_id), list),
}
"""By name, in the order in which ``genesis decode`` prints them: how to read a field, and what it is when missing."""
