"""What block 0 says of a small chain: slots of a second, no fees."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

SLOTS_PER_EPOCH = 10


def configuration(start: datetime, leader_ids: Sequence[str], committees: Sequence[str] = ()) -> dict[str, Any]:
    """The chain's parameters as jcli takes them; leaders in bech32, committees in hex."""
    return {
        "block0_date": int(start.timestamp()),
        "discrimination": "test",
        "block0_consensus": "bft",
        "slots_per_epoch": SLOTS_PER_EPOCH,
        "slot_duration": 1,
        "epoch_stability_depth": 102400,
        "consensus_genesis_praos_active_slot_coeff": 0.1,
        "linear_fees": {"constant": 0, "coefficient": 0, "certificate": 0},
        "proposal_expiration": 100,
        "kes_update_speed": 43200,
        "block_content_max_size": 102400,
        "treasury": 0,
        "total_reward_supply": 0,
        "consensus_leader_ids": list(leader_ids),
        "committees": list(committees),
    }
