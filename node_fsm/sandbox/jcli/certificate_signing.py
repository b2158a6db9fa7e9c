"""Signing a certificate for block 0, and naming the vote plan in one."""

from node_fsm.sandbox.chain_write import block0_certificate
from node_fsm.sandbox.crypto import blake2b_256
from node_fsm.sandbox.jcli import certificate_texts
from node_fsm.sandbox.jcli.arguments import Command, Option, Values
from node_fsm.sandbox.jcli.certificate_check import checked
from node_fsm.sandbox.jcli.certificate_files import read_input, write, write_line
from node_fsm.sandbox.jcli.certificate_texts import CertificateError, Kind
from node_fsm.sandbox.jcli.errors import CommandError
from node_fsm.sandbox.jcli.signing import one_signing_key, sign

_READERS = {
    certificate_texts.PREFIX: certificate_texts.read,
    certificate_texts.SIGNED_PREFIX: certificate_texts.read_signed,
}


def _sign(values: Values) -> None:
    try:
        certificate = checked(certificate_texts.read(read_input(values["certificate"])))
    except CertificateError as error:
        raise CommandError("Invalid certificate", "Invalid certificate", str(error), *error.causes) from None
    if not values["key"]:
        raise CommandError("No signing keys specified (use -k or --key to specify)")
    texts = [read_input(path) for path in values["key"]]
    if not certificate.needs_auth:
        raise CommandError("vote cast certificate does not need a signature")
    key = one_signing_key(texts)
    write(values["output"], sign(certificate, key, block0_certificate(certificate.content)))


def _show_vote_plan_id(values: Values) -> None:
    text = read_input(values["input"])
    try:
        prefix = certificate_texts.prefix(text)
    except CertificateError as error:
        raise CommandError("Invalid bech32 data", str(error), *error.causes) from None
    if prefix not in _READERS:
        raise CommandError("Invalid input, expected Signed Certificate or just Certificate")
    try:
        certificate = checked(_READERS[prefix](text))
    except CertificateError as error:
        raise CommandError("Invalid certificate bech32", str(error), *error.causes) from None
    if certificate.kind is not Kind.VOTE_PLAN:
        raise CommandError("invalid certificate, expecting a vote plan one")
    write_line(values["output"], blake2b_256(certificate.content).hex())


SHOW = Command(_show_vote_plan_id, (Option("input", "PATH"), Option("output", "PATH")))
SIGN = Command(
    _sign,
    (
        Option("key", "signing-keys", short="k", many=True),
        Option("certificate", "input", short="c"),
        Option("output", "output", short="o"),
    ),
)
