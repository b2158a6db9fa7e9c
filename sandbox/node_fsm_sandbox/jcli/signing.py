"""Signing certificates: for block 0, or in a transaction."""

from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import SigningKey
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.keys import read_signing_key


def one_signing_key(texts: list[str]) -> SigningKey:
    """The one key in the lines of the files given; CommandError."""
    if len(texts) != 1:
        raise CommandError(f"expecting only one signing keys but got {len(texts)}")
    try:
        return read_signing_key(texts[0])
    except ValueError as error:
        raise CommandError("invalid private key", f"could not decode secretkey: {error}", str(error)) from None


def sign(certificate: Certificate, key: SigningKey, signed: bytes) -> Certificate:
    """The certificate with the authority of *key*; *signed* is the transaction that carries it up to there."""
    if certificate.kind is Kind.VOTE_PLAN:
        return certificate._replace(proof=chain_write.plan_proof(key, signed))
    return certificate._replace(proof=chain_write.tally_proof(key, signed, private=certificate.is_private_tally))
