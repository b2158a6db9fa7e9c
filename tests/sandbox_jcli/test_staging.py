"""The staging file is read as what was written, and nothing else is taken for one."""

import pytest
from node_fsm_sandbox.jcli.staging import Stage, Staging

from node_fsm.chain.transactions import Input
from node_fsm.core.block_date import BlockDate

FULL = Staging(
    stage=Stage.AUTHED,
    inputs=(Input(bytes(32), None, 5), Input(b"\1" * 32, None, 2**64 - 1)),
    valid_until=BlockDate(3, 4),
    witnesses=(b"one", b"two"),
    certificate="cert1",
    signed_certificate="signedcert1",
)


@pytest.mark.parametrize("staging", [Staging(), FULL, FULL._replace(stage=Stage.SEALED, signed_certificate=None)])
def test_round_trip(staging: Staging) -> None:
    assert Staging.from_bytes(staging.to_bytes()) == staging


def test_every_cut_is_noticed() -> None:
    data = FULL.to_bytes()
    for size in range(len(data) - 1):
        with pytest.raises(ValueError, match="unexpected end of file"):
            Staging.from_bytes(data[:size])


def test_what_elections_do_not_need_is_refused() -> None:
    data = FULL.to_bytes()
    for damaged, message in (
        (b"\x09" + data[1:], "expected variant index"),
        (data[:12] + b"\x01" + data[13:], "from accounts only"),
        (data[:100] + b"\x01" + data[101:], "without outputs"),
    ):
        with pytest.raises(ValueError, match=message):
            Staging.from_bytes(damaged)
