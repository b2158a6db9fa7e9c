"""Checking what is inside a certificate, in a module of its own: those already staged need no second look."""

from collections.abc import Callable

from node_fsm.chain import certificates
from node_fsm.chain.certificates import PlanCertificate, VoteCast, VoteTally
from node_fsm.chain.errors import ChainDataError
from node_fsm.chain.fragments import Fragment
from node_fsm_sandbox.formats.chain import block0_certificate, fragment
from node_fsm_sandbox.jcli.certificate_texts import PROOF_SIZE, Certificate, CertificateError, Kind

_DECODERS: dict[Kind, Callable[[Fragment], PlanCertificate | VoteCast | VoteTally]] = {
    Kind.VOTE_PLAN: certificates.decode_vote_plan,
    Kind.VOTE_CAST: certificates.decode_vote_cast,
    Kind.VOTE_TALLY: certificates.decode_vote_tally,
}


def checked(certificate: Certificate) -> Certificate:
    """*certificate*; CertificateError unless its content is what its kind says."""
    decoded(certificate)
    return certificate


def decoded(certificate: Certificate) -> PlanCertificate | VoteCast | VoteTally:
    """What is in *certificate*; CertificateError unless its content is what its kind says."""
    proof = certificate.proof
    if certificate.needs_auth and not proof:
        tally_kind = bytes([certificate.is_private_tally]) if certificate.kind is Kind.VOTE_TALLY else b""
        proof = tally_kind + bytes(PROOF_SIZE)
    raw = fragment(certificate.fragment_kind, block0_certificate(certificate.content) + proof)
    try:
        return _DECODERS[certificate.kind](Fragment.from_bytes(raw))
    except ChainDataError as error:
        raise CertificateError("Invalid certificate", error.message) from None
