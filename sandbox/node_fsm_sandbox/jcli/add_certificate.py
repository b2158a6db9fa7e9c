"""``jcli transaction add-certificate``: the one command on transactions that looks into a certificate."""

from node_fsm_sandbox.jcli import certificate_texts
from node_fsm_sandbox.jcli.arguments import Argument, Command, Values
from node_fsm_sandbox.jcli.certificate_check import checked
from node_fsm_sandbox.jcli.certificate_texts import Certificate, CertificateError
from node_fsm_sandbox.jcli.staged import STAGING, expect, load, store
from node_fsm_sandbox.jcli.staging import Stage


def _add_certificate(values: Values) -> None:
    staging = load(values)
    expect(staging, Stage.BALANCING, "adding certificate to {} transaction is not valid")
    store(values, staging._replace(certificate=values["certificate"].text()))


def _read(text: str) -> Certificate:
    try:
        return checked(certificate_texts.read(text))
    except CertificateError:
        raise ValueError("Invalid certificate") from None


COMMAND = Command(_add_certificate, (STAGING, Argument("certificate", _read, required=True)))
