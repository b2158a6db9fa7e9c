"""Writing a chain's configuration, the counterpart of `node_fsm.chain.configuration`."""

from collections.abc import Callable, Iterator, Mapping
from struct import pack
from typing import Any

from node_fsm.chain.address import ed25519_public_key
from node_fsm.chain.fragments import FragmentKind
from node_fsm_sandbox.formats.chain import fragment

_TAG_BITS = 9
_CERTIFICATE_FEES = (
    "certificate_pool_registration",
    "certificate_stake_delegation",
    "certificate_owner_stake_delegation",
)
_VOTE_CERTIFICATE_FEES = ("certificate_vote_plan", "certificate_vote_cast")


def configuration(values: Mapping[str, Any]) -> bytes:
    """The first fragment of a block 0 whose configuration decodes to *values*."""
    parameters = [pack(">H", tag << _TAG_BITS | len(payload)) + payload for tag, payload in _parameters(values)]
    return fragment(FragmentKind.INITIAL, pack(">H", len(parameters)) + b"".join(parameters))


def _parameters(values: Mapping[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Tag and payload of each parameter, in the order in which jcli writes them."""
    fees, constraints = values["linear_fees"], values.get("reward_constraints", {})
    parameters: tuple[tuple[int, Callable[[Any], bytes], Any], ...] = (
        (2, _u64, values["block0_date"]),
        (1, _u8, {"production": 1, "test": 2}[values["discrimination"]]),
        (3, _u16, {"bft": 1, "genesis_praos": 2}[values["block0_consensus"]]),
        (14, _fees("constant", "coefficient", "certificate"), fees),
        (4, _u32, values["slots_per_epoch"]),
        (5, _u8, values["slot_duration"]),
        (16, _u32, values["kes_update_speed"]),
        (8, _thousandths, values["consensus_genesis_praos_active_slot_coeff"]),
        (9, _u32, values["block_content_max_size"]),
        (6, _u32, values["epoch_stability_depth"]),
        (15, _u32, values["proposal_expiration"]),
        (22, _u8, {"rewards": 0, "treasury": 1, None: None}[values.get("fees_go_to")]),
        (21, _fees(*_CERTIFICATE_FEES), fees.get("per_certificate_fees") or None),
        (28, _fees(*_VOTE_CERTIFICATE_FEES), fees.get("per_vote_certificate_fees") or None),
        (17, _u64, values.get("treasury")),
        (18, _tax, values.get("treasury_parameters")),
        (19, _u64, values.get("total_reward_supply")),
        (20, _rewards, values.get("reward_parameters")),
        (24, _ratio, constraints.get("reward_drawing_limit_max")),
        (25, _capping, constraints.get("pool_participation_capping")),
        (29, _u8, values.get("tx_max_expiry_epochs")),
    )
    for tag, write, value in parameters:
        if value is not None:
            yield tag, write(value)
    for leader_id in values["consensus_leader_ids"]:
        yield 11, ed25519_public_key(leader_id)
    for committee_id in values.get("committees", ()):
        yield 26, bytes.fromhex(committee_id)


def _u8(value: int) -> bytes:
    return bytes([value])


def _u16(value: int) -> bytes:
    return pack(">H", value)


def _u32(value: int) -> bytes:
    return pack(">I", value)


def _u64(value: int) -> bytes:
    return pack(">Q", value)


def _thousandths(coefficient: str | int) -> bytes:
    whole, _, decimals = str(coefficient).partition(".")
    return _u64(int(whole) * 1000 + int(decimals or 0))


def _fees(*names: str) -> Callable[[Mapping[str, int]], bytes]:
    """A writer of one fee for each of *names*, zero where there is none."""
    return lambda fees: b"".join(_u64(fees.get(name, 0)) for name in names)


def _ratio(text: str) -> bytes:
    numerator, _, denominator = text.partition("/")
    return _u64(int(numerator)) + _u64(int(denominator))


def _tax(tax: Mapping[str, Any]) -> bytes:
    return _u64(tax["fixed"]) + _ratio(tax["ratio"]) + _u64(tax.get("max_limit", 0))


def _rewards(rewards: Mapping[str, Mapping[str, Any]]) -> bytes:
    (kind, values), *_ = rewards.items()
    head = _u8({"linear": 1, "halving": 2}[kind]) + _u64(values["constant"]) + _ratio(values["ratio"])
    return head + _u32(values["epoch_start"]) + _u32(values["epoch_rate"])


def _capping(capping: Mapping[str, int]) -> bytes:
    return _u32(capping["min"]) + _u32(capping["max"])
