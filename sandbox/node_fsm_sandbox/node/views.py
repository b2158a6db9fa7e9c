"""What the chain says, in the shapes of the node's REST interface."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from node_fsm.chain.certificates import PlanCertificate
from node_fsm.core.payload_type import PayloadType
from node_fsm_sandbox.node.accounts import Account
from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.log import timestamp
from node_fsm_sandbox.node.mempool import LogEntry
from node_fsm_sandbox.node.plans import ProposalTally, VotePlans

_NO_REWARDS = {
    "initialValue": 0,
    "compoundingRatio": {"numerator": 0, "denominator": 1},
    "compoundingType": "Linear",
    "epochRate": 2**32 - 1,
    "epochStart": 0,
}


def account(held: Account) -> dict[str, Any]:
    """An account in the ledger."""
    return {
        "delegation": {"pools": []},
        "value": held.value,
        "counters": held.spending_counters(),
        "tokens": dict(sorted(held.tokens.items())),
        "last_rewards": {"epoch": 0, "reward": 0},
    }


def settings(chain: Chain, last_block_time: str) -> dict[str, Any]:
    """The parameters of the chain."""
    configuration = chain.ledger.configuration
    clock = chain.ledger.parameters.clock
    return {
        "block0Hash": chain.block0.id,
        "block0Time": timestamp(clock.start),
        "currSlotStartTime": last_block_time,
        "consensusVersion": configuration["block0_consensus"],
        "fees": configuration["linear_fees"],
        "blockContentMaxSize": chain.ledger.parameters.content_max_size,
        "epochStabilityDepth": configuration["epoch_stability_depth"],
        "slotDuration": clock.slot_duration,
        "slotsPerEpoch": clock.slots_per_epoch,
        "treasuryTax": _treasury_tax(configuration),
        "rewardParams": _reward_parameters(configuration),
        "discrimination": configuration["discrimination"],
        "txMaxExpiryEpochs": chain.ledger.parameters.expiry_epochs,
    }


def plan(votes: VotePlans, shown: PlanCertificate) -> dict[str, Any]:
    """A vote plan and how it stands."""
    proposals = zip(shown.proposals, votes.tallies(shown), strict=True)
    return {
        "id": shown.id,
        "payload": shown.payload_type,
        "vote_start": str(shown.vote_start),
        "vote_end": str(shown.vote_end),
        "committee_end": str(shown.committee_end),
        "committee_member_keys": list(shown.committee_member_public_keys),
        "proposals": [
            {
                "index": index,
                "proposal_id": proposal.external_id,
                "options": {"start": 0, "end": proposal.options},
                "tally": _tally(shown, proposal.options, tally),
                "votes_cast": tally.votes_cast,
            }
            for index, (proposal, tally) in enumerate(proposals)
        ],
        "voting_token": shown.voting_token,
    }


def log_entry(entry: LogEntry) -> dict[str, Any]:
    """What became of a fragment."""
    return {
        "fragment_id": entry.id,
        "received_from": entry.origin,
        "received_at": timestamp(entry.received_at),
        "last_updated_at": timestamp(entry.updated_at),
        "status": entry.status,
    }


def _tally(shown: PlanCertificate, options: int, tally: ProposalTally) -> dict[str, Any]:
    if tally.encrypted is not None:
        encrypted = b64encode(tally.encrypted.to_bytes()).decode()
        return {"Private": {"state": {"Encrypted": {"encrypted_tally": encrypted}}}}
    result = {"result": {"results": list(tally.results or ()), "options": {"start": 0, "end": options}}}
    return (
        {"Public": result}
        if shown.payload_type == PayloadType.PUBLIC
        else {"Private": {"state": {"Decrypted": result}}}
    )


def _treasury_tax(configuration: Mapping[str, Any]) -> dict[str, Any]:
    tax = configuration.get("treasury_parameters", {"fixed": 0, "ratio": "0/1"})
    limit = {"max": tax["max_limit"]} if "max_limit" in tax else {}
    return {"fixed": tax["fixed"], "ratio": _ratio(tax["ratio"])} | limit


def _reward_parameters(configuration: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(_NO_REWARDS)
    for kind, parameters in configuration.get("reward_parameters", {}).items():
        shown = {
            "initialValue": parameters["constant"],
            "compoundingRatio": _ratio(parameters["ratio"]),
            "compoundingType": {"linear": "Linear", "halving": "Halvening"}[kind],
            "epochRate": parameters["epoch_rate"],
            "epochStart": parameters["epoch_start"],
        }
    constraints = configuration.get("reward_constraints", {})
    limit = constraints.get("reward_drawing_limit_max")
    capping = constraints.get("pool_participation_capping")
    return shown | {
        "rewardDrawingLimitMax": {"ByStakeAbsolute": _ratio(limit)} if limit else "None",
        "poolParticipationCapping": [capping["min"], capping["max"]] if capping else None,
    }


def _ratio(text: str) -> dict[str, int]:
    numerator, _, denominator = text.partition("/")
    return {"numerator": int(numerator), "denominator": int(denominator)}
