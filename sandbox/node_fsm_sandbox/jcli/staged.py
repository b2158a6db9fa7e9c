"""What the commands on a transaction share: its staging file, and what follows from what is staged."""

from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import blake2b_256
from node_fsm_sandbox.jcli import certificate_texts, files
from node_fsm_sandbox.jcli.arguments import Option, Values
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.staging import Stage, Staging
from node_fsm_sandbox.jcli.values import unsigned as unsigned_number

STAGING = Option("staging", "staging-file")
U64 = unsigned_number(64)
FEES = (
    Option("fee-constant", "constant", U64, default="0"),
    Option("fee-coefficient", "coefficient", U64, default="0"),
    Option("fee-certificate", "certificate", U64, default="0"),
    Option("fee-vote-plan", "certificate-vote-plan", U64),
    Option("fee-vote-cast", "certificate-vote-cast", U64),
)


def load(values: Values) -> Staging:
    """The transaction in the staging file; CommandError."""
    path = values["staging"]
    data = files.read(path, lambda reason: _staging_error("open", path, reason))
    try:
        return Staging.from_bytes(data)
    except ValueError as error:
        raise _staging_error("read", path, str(error)) from None


def store(values: Values, staging: Staging) -> None:
    """Write the staging file; CommandError."""
    path = values["staging"]
    files.write(path, staging.to_bytes(), lambda reason: _staging_error("open", path, reason))


def expect(staging: Staging, stage: Stage, message: str) -> None:
    """CommandError, with the *message* that names the stage, unless the transaction has come to *stage*."""
    if staging.stage is not stage:
        raise CommandError(message.format(staging.stage))


def certificate_of(staging: Staging) -> Certificate | None:
    """The certificate that the transaction carries."""
    return certificate_texts.read(staging.certificate) if staging.certificate else None


def unsigned(staging: Staging) -> bytes:
    """The transaction up to its witnesses."""
    assert staging.valid_until is not None, "it is set before a transaction is finalized"
    certificate = certificate_of(staging)
    content = certificate.content if certificate else b""
    return chain_write.unsigned_transaction(content, staging.valid_until, staging.inputs)


def sign_data_hash(staging: Staging) -> bytes:
    """What witnesses sign; CommandError before the transaction is final, and after."""
    expect(staging, Stage.FINALIZING, "cannot get witness data in {} state")
    return blake2b_256(unsigned(staging))


def fee_of(values: Values, staging: Staging) -> int:
    """What the transaction has to pay, by the fees in *values*."""
    fee: int = values["fee_constant"] + values["fee_coefficient"] * len(staging.inputs)
    certificate = certificate_of(staging)
    if certificate is None:
        return fee
    special = {Kind.VOTE_PLAN: values["fee_vote_plan"], Kind.VOTE_CAST: values["fee_vote_cast"]}
    certificate_fee: int = special.get(certificate.kind) or values["fee_certificate"]
    return fee + certificate_fee


def _staging_error(action: str, path: str | None, reason: str) -> CommandError:
    return CommandError(f"could not {action} staging transaction file '{path or ''}'", reason)
