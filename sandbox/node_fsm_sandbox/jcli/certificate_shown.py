"""``jcli certificate show`` and ``print``: what is in a certificate, signed or not."""

from collections.abc import Iterable

from node_fsm.chain.certificates import PlanCertificate, PlanProposal, VoteCast, VoteTally
from node_fsm.core.block_date import BlockDate
from node_fsm_sandbox.formats.crypto import blake2b_256
from node_fsm_sandbox.jcli import certificate_texts
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.certificate_check import checked, decoded
from node_fsm_sandbox.jcli.certificate_files import read_input, write_line
from node_fsm_sandbox.jcli.certificate_texts import Certificate, CertificateError, Kind
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.files import say

_READERS = {
    certificate_texts.PREFIX: certificate_texts.read,
    certificate_texts.SIGNED_PREFIX: certificate_texts.read_signed,
}


def _show_vote_plan_id(values: Values) -> None:
    certificate = _read(values["input"])
    if certificate.kind is not Kind.VOTE_PLAN:
        raise CommandError("invalid certificate, expecting a vote plan one")
    write_line(values["output"], blake2b_256(certificate.content).hex())


def _print(values: Values) -> None:
    say(f"Certificate({_debug(decoded(_read(values['input'])))})")


def _read(path: str | None) -> Certificate:
    text = read_input(path)
    try:
        prefix = certificate_texts.prefix(text)
    except CertificateError as error:
        raise CommandError("Invalid bech32 data", str(error), *error.causes) from None
    if prefix not in _READERS:
        raise CommandError("Invalid input, expected Signed Certificate or just Certificate")
    try:
        return checked(_READERS[prefix](text))
    except CertificateError as error:
        raise CommandError("Invalid certificate bech32", str(error), *error.causes) from None


def _debug(certificate: PlanCertificate | VoteCast | VoteTally) -> str:
    """Like Rust prints it, but for what is encrypted, and the keys for that."""
    match certificate:
        case PlanCertificate():
            dates = zip(("vote_start", "vote_end", "committee_end"), certificate[2:5], strict=True)
            fields = [f"{name}: {_date(date)}" for name, date in dates]
            fields += [
                f"proposals: Proposals {{ proposals: {_list(map(_proposal, certificate.proposals))} }}",
                f"payload_type: {certificate.payload_type.capitalize()}",
                f"committee_public_keys: {_list(certificate.committee_member_public_keys)}",
                f"voting_token: {_token(certificate.voting_token)}",
            ]
            return f"VotePlan(VotePlan {{ {', '.join(fields)} }})"
        case VoteCast(plan_id, index, choice):
            payload = "Private" if choice is None else f"Public {{ choice: Choice({choice}) }}"
            return f"VoteCast(VoteCast {{ vote_plan: {_hash(plan_id)}, proposal_index: {index}, payload: {payload} }})"
        case VoteTally(plan_id, payload_type):
            return f"VoteTally(VoteTally {{ id: {_hash(plan_id)}, payload: {payload_type.capitalize()} }})"


def _date(date: BlockDate) -> str:
    return f"BlockDate {{ epoch: {date.epoch}, slot_id: {date.slot} }}"


def _proposal(proposal: PlanProposal) -> str:
    options = f"Options {{ options_range: 0..{proposal.options} }}"
    action = proposal.action.kind.title().replace("_", "")
    return f"Proposal {{ external_id: {_hash(proposal.external_id)}, options: {options}, action: {action} }}"


def _token(token_id: str) -> str:
    policy_hash, name = (list(bytes.fromhex(part)) for part in token_id.partition(".")[::2])
    return f"TokenIdentifier {{ policy_hash: PolicyHash({policy_hash}), token_name: TokenName({name}) }}"


def _hash(text: str) -> str:
    return f"$hash_ty(0x{text})"


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


SHOW = Command(_show_vote_plan_id, (Option("input", "PATH"), Option("output", "PATH")))
PRINT = Command(_print, (Argument("input"),))
