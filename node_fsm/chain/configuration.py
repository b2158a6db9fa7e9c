"""The configuration of a chain, which is the first fragment of its block 0."""

from collections.abc import Callable
from struct import Struct
from typing import Any

from node_fsm.chain.address import KEY_SIZE, ed25519_public_key_text
from node_fsm.chain.cursor import Cursor
from node_fsm.chain.fragments import Fragment

_REWARDS = Struct(">QQQII")

_REQUIRED = (
    "block0_date",
    "discrimination",
    "block0_consensus",
    "linear_fees",
    "slots_per_epoch",
    "slot_duration",
    "kes_update_speed",
    "consensus_genesis_praos_active_slot_coeff",
    "block_content_max_size",
    "epoch_stability_depth",
    "proposal_expiration",
)


def decode_configuration(fragment: Fragment) -> dict[str, Any]:
    """Decode a fragment of kind INITIAL to what ``jcli genesis decode`` prints as ``blockchain_configuration``.

    The same names, nesting and values as there; lists keep the order of the block, what the block does not
    hold is missing. MalformedError.
    """
    cursor = fragment.content()
    found: dict[str, Any] = {}
    leader_ids: list[str] = []
    committees: list[str] = []
    lists = {"consensus_leader_ids": leader_ids, "committees": committees}
    for _ in range(cursor.u16("number of parameters")):
        tag, size = divmod(cursor.u16("parameter"), 512)
        if tag not in _PARAMETERS:
            raise cursor.malformed(f"parameter {tag} is unknown or cannot be in a block 0")
        name, read = _PARAMETERS[tag]
        payload = cursor.part(size, name)
        value = read(payload)
        payload.expect_end(name)
        if name in lists:
            lists[name].append(value)
        elif name in found:
            raise cursor.malformed(f"parameter {name} is there twice")
        else:
            found[name] = value
    cursor.expect_end("the configuration")
    if missing := [name for name in _REQUIRED if name not in found]:
        raise cursor.malformed(f"the configuration lacks {', '.join(missing)}")
    _nest(found, "linear_fees", ("per_certificate_fees", "per_vote_certificate_fees"))
    _nest(found, "reward_constraints", ("reward_drawing_limit_max", "pool_participation_capping"))
    found["consensus_leader_ids"] = leader_ids
    return found | ({"committees": committees} if committees else {})


def _nest(found: dict[str, Any], parent: str, names: tuple[str, ...]) -> None:
    if inner := {name: value for name in names if (value := found.pop(name, None))}:
        found[parent] = found.get(parent, {}) | inner


def _date(cursor: Cursor) -> int:
    return cursor.u64("date")


def _discrimination(cursor: Cursor) -> str:
    return _choice(cursor, cursor.u8("discrimination"), {1: "production", 2: "test"})


def _consensus(cursor: Cursor) -> str:
    return _choice(cursor, cursor.u16("consensus"), {1: "bft", 2: "genesis_praos"})


def _fees_go_to(cursor: Cursor) -> str:
    return _choice(cursor, cursor.u8("receiver of the fees"), {0: "rewards", 1: "treasury"})


def _choice(cursor: Cursor, value: int, names: dict[int, str]) -> str:
    if value not in names:
        raise cursor.malformed(
            f"expected {' or '.join(f'{key} ({name})' for key, name in names.items())}, found {value}"
        )
    return names[value]


def _positive_u8(cursor: Cursor) -> int:
    return _positive(cursor, cursor.u8("number"))


def _positive_u32(cursor: Cursor) -> int:
    return _positive(cursor, cursor.u32("number"))


def _positive(cursor: Cursor, value: int) -> int:
    if not value:
        raise cursor.malformed("expected a number above zero")
    return value


def _u8(cursor: Cursor) -> int:
    return cursor.u8("number")


def _u32(cursor: Cursor) -> int:
    return cursor.u32("number")


def _u64(cursor: Cursor) -> int:
    return cursor.u64("number")


def _coefficient(cursor: Cursor) -> str | int:
    whole, thousandths = divmod(cursor.u64("coefficient"), 1000)
    return 1 if (whole, thousandths) == (1, 0) else f"{whole}.{thousandths:03}"


def _ratio(cursor: Cursor) -> str:
    return f"{cursor.u64('numerator')}/{_positive(cursor, cursor.u64('denominator'))}"


def _linear_fees(cursor: Cursor) -> dict[str, int]:
    return {name: cursor.u64(name) for name in ("constant", "coefficient", "certificate")}


def _fees(*names: str) -> Callable[[Cursor], dict[str, int]]:
    """A reader of one fee for each of *names*, where zero means none."""

    def read(cursor: Cursor) -> dict[str, int]:
        return {name: fee for name in names if (fee := cursor.u64(name))}

    return read


def _treasury_parameters(cursor: Cursor) -> dict[str, Any]:
    parameters = {"fixed": cursor.u64("fixed tax"), "ratio": _ratio(cursor)}
    limit = cursor.u64("limit of the tax")
    return parameters | ({"max_limit": limit} if limit else {})


def _reward_parameters(cursor: Cursor) -> dict[str, Any]:
    kind = _choice(cursor, cursor.u8("kind of rewards"), {1: "linear", 2: "halving"})
    constant, numerator, denominator, start, rate = cursor.unpack(_REWARDS, "reward parameters")
    ratio = f"{numerator}/{_positive(cursor, denominator)}"
    rate = _positive(cursor, rate)
    return {kind: {"constant": constant, "ratio": ratio, "epoch_start": start, "epoch_rate": rate}}


def _capping(cursor: Cursor) -> dict[str, int]:
    return {"min": _positive_u32(cursor), "max": _positive_u32(cursor)}


def _leader_id(cursor: Cursor) -> str:
    return ed25519_public_key_text(cursor.take(KEY_SIZE, "leader id"))


def _committee_id(cursor: Cursor) -> str:
    return cursor.take(KEY_SIZE, "committee id").hex()


# By tag. The tags that are missing here remove something (12, 23, 27), which a block 0 cannot, or are of the
# node's build with the EVM (30, 31).
_PARAMETERS: dict[int, tuple[str, Callable[[Cursor], Any]]] = {
    1: ("discrimination", _discrimination),
    2: ("block0_date", _date),
    3: ("block0_consensus", _consensus),
    4: ("slots_per_epoch", _positive_u32),
    5: ("slot_duration", _positive_u8),
    6: ("epoch_stability_depth", _u32),
    8: ("consensus_genesis_praos_active_slot_coeff", _coefficient),
    9: ("block_content_max_size", _u32),
    11: ("consensus_leader_ids", _leader_id),
    14: ("linear_fees", _linear_fees),
    15: ("proposal_expiration", _u32),
    16: ("kes_update_speed", _u32),
    17: ("treasury", _u64),
    18: ("treasury_parameters", _treasury_parameters),
    19: ("total_reward_supply", _u64),
    20: ("reward_parameters", _reward_parameters),
    21: (
        "per_certificate_fees",
        _fees("certificate_pool_registration", "certificate_stake_delegation", "certificate_owner_stake_delegation"),
    ),
    22: ("fees_go_to", _fees_go_to),
    24: ("reward_drawing_limit_max", _ratio),
    25: ("pool_participation_capping", _capping),
    26: ("committees", _committee_id),
    28: ("per_vote_certificate_fees", _fees("certificate_vote_plan", "certificate_vote_cast")),
    29: ("tx_max_expiry_epochs", _u8),
}
