"""``jcli votes tally``: opening the sums of private plans together, and adding up results."""

from collections.abc import Iterable, Sequence
from typing import Any

from node_fsm.chain import bech32
from node_fsm.chain.address import MEMBER_SECRET_PREFIX
from node_fsm_sandbox.formats.ballots import EncryptedTally, SharesError
from node_fsm_sandbox.jcli import files, plan_status
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.committee_values import scalar_key
from node_fsm_sandbox.jcli.errors import CommandError, PanicError
from node_fsm_sandbox.jcli.output_format import OPTION, formatted
from node_fsm_sandbox.jcli.plan_status import PlanStatus
from node_fsm_sandbox.jcli.values import ANY_VARIANT, block_hash, unsigned


def _decryption_shares(values: Values) -> None:
    plan = plan_status.read_plan(values["vote_plan"], values["vote_plan_id"])
    line = files.read_line(values["key"], lambda reason: CommandError("I/O error", reason))
    try:
        secret = scalar_key(line, MEMBER_SECRET_PREFIX)
    except ValueError as error:
        raise CommandError("bech32 error", str(error)) from None
    sums = map(plan_status.encrypted_tally, plan["proposals"])
    files.say(plan_status.write_shares([_tally(data).share(secret) for data in sums if data is not None]))


def _merge_shares(values: Values) -> None:
    members = [plan_status.read_shares(path) for path in values["shares"]]
    if not members:
        raise CommandError("shares cannot be empty")
    if len({len(shares) for shares in members}) > 1:
        raise CommandError("proposals have different number of shares")
    files.say(plan_status.write_shares([list(shares) for shares in zip(*members, strict=True)]))


def _decrypt_results(values: Values) -> None:
    plan = plan_status.read_plan(values["vote_plan"], values["vote_plan_id"])
    proposals = plan["proposals"]
    merged = plan_status.read_merged_shares(values["shares"], len(proposals), values["threshold"])
    keys = [bech32.decode(key, ANY_VARIANT)[1] for key in plan["committee_member_keys"]]
    opened = [_open(proposal, keys, shares) for proposal, shares in zip(proposals, merged, strict=True)]
    files.say(formatted(plan | {"proposals": opened}, values["output_format"]))


def _open(proposal: dict[str, Any], keys: Sequence[bytes], shares: Sequence[bytes]) -> dict[str, Any]:
    data = plan_status.encrypted_tally(proposal)
    if data is None:
        raise PanicError("internal error: entered unreachable code: expected encrypted private tally")
    try:
        results = _tally(data).decrypt(keys, shares)
    except SharesError as error:
        raise CommandError("decryption share is not valid", str(error)) from None
    if results is None:
        raise CommandError("invalid data for private tally")
    return plan_status.decrypted(proposal, results)


def _merge_results(values: Values) -> None:
    groups: dict[tuple[str, ...], list[PlanStatus]] = {}
    for plan in plan_status.read_plans(values["vote_plans"]):
        proposals = sorted(plan["proposals"], key=lambda proposal: str(proposal["proposal_id"]))
        same = tuple(proposal["proposal_id"] for proposal in proposals)
        groups.setdefault(same, []).append(plan | {"proposals": proposals})
    merged = [
        {
            "ids": sorted(plan["id"] for plan in group),
            "proposals": [_merge(parts) for parts in zip(*[plan["proposals"] for plan in group], strict=True)],
        }
        for group in groups.values()
    ]
    files.say(formatted(merged, values["output_format"]))


def _merge(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One proposal of several plans, added up; a single one is taken as it is."""
    proposal = {name: parts[-1][name] for name in ("proposal_id", "options", "tally", "votes_cast")}
    if len(parts) == 1:
        return proposal
    if len({plan_status.is_public(part) for part in parts}) > 1:
        raise CommandError("voteplans have different privacy type")
    votes_cast = sum(part["votes_cast"] for part in parts)
    if plan_status.is_public(proposal):
        result = parts[-1]["tally"]["Public"]["result"]
        results = _sums(part["tally"]["Public"]["result"]["results"] for part in parts)
        return proposal | {"votes_cast": votes_cast, "tally": {"Public": {"result": result | {"results": results}}}}
    opened = [votes for part in parts if (votes := plan_status.decrypted_results(part)) is not None]
    if len(opened) < len(parts):
        raise CommandError("voteplan should be already decrypted before merging")
    return plan_status.decrypted(proposal, _sums(opened)) | {"votes_cast": votes_cast}


def _sums(results: Iterable[Sequence[int]]) -> list[int]:
    return [sum(votes) for votes in zip(*results, strict=True)]


def _tally(data: bytes) -> EncryptedTally:
    try:
        return EncryptedTally.from_bytes(data)
    except ValueError:
        raise CommandError("failed to read encrypted tally bytes") from None


_PLAN = Option("vote-plan", "vote-plan")
_PLAN_ID = Option("vote-plan-id", "vote-plan-id", block_hash)

COMMANDS = {
    "decrypt-results": Command(
        _decrypt_results,
        (
            _PLAN,
            _PLAN_ID,
            Option("threshold", "threshold", unsigned(64), default="3"),
            Option("shares", "shares"),
            OPTION,
        ),
    ),
    "decryption-shares": Command(_decryption_shares, (_PLAN, _PLAN_ID, Option("key", "key", required=True))),
    "merge-results": Command(_merge_results, (Option("vote-plans", "vote-plans"), OPTION)),
    "merge-shares": Command(_merge_shares, (Argument("shares", many=True),)),
}
