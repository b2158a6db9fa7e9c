"""``jcli certificate sign``: signing a certificate for block 0."""

from node_fsm_sandbox.formats.chain import block0_certificate
from node_fsm_sandbox.jcli import certificate_texts
from node_fsm_sandbox.jcli.arguments import Command, Option, Values
from node_fsm_sandbox.jcli.certificate_check import checked
from node_fsm_sandbox.jcli.certificate_files import read_input, write
from node_fsm_sandbox.jcli.certificate_texts import CertificateError
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.signing import one_signing_key, sign


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


SIGN = Command(
    _sign,
    (
        Option("key", "signing-keys", short="k", many=True),
        Option("certificate", "input", short="c"),
        Option("output", "output", short="o"),
    ),
)
