"""What block 0 may say, for the tests of making it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node_fsm_sandbox.formats import ballots

from node_fsm.chain import bech32
from tests.contract.chains import TOKEN, Plan, Wallet
from tests.contract.commands import Ended, Jcli

LEADER, COMMITTEE, STRANGER, *VOTERS = (Wallet(bytes([number]) * 32) for number in range(6))
MEMBER_KEY = ballots.public_key(5)
HEADER = slice(1, 82)

INVALID = "generated block is not a valid genesis block"
CORRUPTED = "genesis file corrupted"
ACCOUNT_OVERFLOW = ["Error or Invalid account", "Value calculation failed", "Value overflowed its maximum value"]

Document = dict[str, Any]
Change = Callable[[Document], object]


def document(certificates: Sequence[str] = ()) -> Document:
    """What a block 0 says, with everything that an election needs."""
    return {
        "blockchain_configuration": {
            "block0_date": 1_700_000_000,
            "discrimination": "test",
            "block0_consensus": "bft",
            "slots_per_epoch": 10,
            "slot_duration": 1,
            "epoch_stability_depth": 102400,
            "consensus_genesis_praos_active_slot_coeff": 0.1,
            "linear_fees": {"constant": 1, "coefficient": 2, "certificate": 3},
            "proposal_expiration": 100,
            "kes_update_speed": 43200,
            "block_content_max_size": 102400,
            "treasury": 4,
            "total_reward_supply": 5,
            "tx_max_expiry_epochs": 6,
            "fees_go_to": "rewards",
            "consensus_leader_ids": [LEADER.leader_id, STRANGER.leader_id],
            "committees": [COMMITTEE.id],
        },
        "initial": [
            {"fund": [{"address": wallet.address, "value": 1000} for wallet in (LEADER, COMMITTEE, *VOTERS)]},
            {"fund": [{"address": VOTERS[0].address, "value": 7}]},
            {"token": {"token_id": TOKEN, "to": [{"address": wallet.address, "value": 9} for wallet in VOTERS]}},
            *[{"cert": certificate} for certificate in certificates],
        ],
    }


def signed_plan(jcli: Jcli, plan: Plan, signer: Wallet = COMMITTEE) -> str:
    """The certificate of a plan as it stands in block 0."""
    jcli.write("signer.sk", signer.secret.reveal())
    certificate = jcli.out("certificate", "new", "vote-plan", stdin=json.dumps(plan.document()))
    return jcli.out("certificate", "sign", "--key", "signer.sk", stdin=certificate)


def plan_certificates(jcli: Jcli) -> list[str]:
    """A public and a private plan, one of the committee's and one of a leader's."""
    members = (bech32.encode("ristretto255_memberpk", MEMBER_KEY),)
    return [signed_plan(jcli, Plan()), signed_plan(jcli, Plan(member_keys=members), LEADER)]


def encode(jcli: Jcli, content: Document) -> Ended:
    return jcli.run("genesis", "encode", "--output", "block0.bin", stdin=json.dumps(content))


def block0(jcli: Jcli) -> Path:
    return jcli.directory / "block0.bin"
