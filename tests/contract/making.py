"""A transaction in the making, and the two who may pay for it."""

import json
from collections.abc import Sequence

from node_fsm.chain.fragments import Fragment
from tests.contract.chains import Plan, Wallet
from tests.contract.commands import Jcli

PAYER, OTHER = Wallet(bytes(32)), Wallet(bytes([1]) * 32)
BLOCK0_HASH = "b0" * 32
PLAN_ID = "ab" * 32
FEES = ("--fee-constant", "10", "--fee-coefficient", "3", "--fee-certificate", "7")
DATA = "da" * 32


class Making:
    """A transaction in the making, by commands that have to succeed unless they are `refused`."""

    def __init__(self, jcli: Jcli) -> None:
        self._jcli = jcli
        jcli.write("payer.sk", PAYER.secret.reveal())
        jcli.write("other.sk", OTHER.secret.reveal())
        self.certificates = {
            "vote": jcli.out(
                *("certificate", "new", "vote-cast", "public", "--vote-plan-id", PLAN_ID),
                *("--proposal-index", "1", "--choice", "2"),
            ),
            "tally": jcli.out("certificate", "new", "vote-tally", "public", "--vote-plan-id", PLAN_ID),
            "plan": jcli.out("certificate", "new", "vote-plan", stdin=json.dumps(Plan().document())),
        }
        self.do("new")

    def do(self, *words: str) -> str:
        return self._jcli.out("transaction", *words, "--staging", "tx")

    def refused(self, *words: str) -> str:
        """Why a command is refused, which must not change the transaction."""
        before = (self._jcli.directory / "tx").read_bytes()
        code, message = self._jcli.refused("transaction", *words, "--staging", "tx")
        assert (code, (self._jcli.directory / "tx").read_bytes()) == (1, before)
        return message

    def final(self, certificate: str | None, values: Sequence[int] = (0,), fees: Sequence[str] = ()) -> None:
        """Up to where witnesses are added."""
        for wallet, value in zip((PAYER, OTHER), values, strict=False):
            self.do("add-account", wallet.address, str(value))
        if certificate:
            self.do("add-certificate", self.certificates[certificate])
        self.do("set-expiry-date", "1.9")
        self.do("finalize", *fees)

    def witness(self, wallet: Wallet = PAYER, counter: int = 0, lane: int = 0) -> None:
        words = ("--account-spending-counter", str(counter), "--account-spending-counter-lane", str(lane))
        secret = "payer.sk" if wallet is PAYER else "other.sk"
        make_witness(self._jcli, "--type", "account", *words, "a.witness", secret, data=self.do("data-for-witness"))
        self.do("add-witness", "a.witness")

    def fragment(self) -> Fragment:
        """What can be posted."""
        fragment = Fragment.from_bytes(bytes.fromhex(self.do("to-message")))
        assert self.do("fragment-id") == fragment.id
        return fragment


def make_witness(jcli: Jcli, *words: str, data: str = DATA) -> None:
    command = ("transaction", "make-witness", data, "--genesis-block-hash", BLOCK0_HASH, *words)
    assert jcli.out(*command) == ""
