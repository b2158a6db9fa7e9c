"""The speed of decryption is measured with jcli: the stand-in always, the real one where there is one."""

import json
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import pytest
from node_fsm_sandbox.formats import ballots, ristretto
from node_fsm_sandbox.formats.edwards import BASE, multiply

from node_fsm.chain import bech32
from node_fsm.core.decryption import DecryptionSpeed
from node_fsm.programs.jcli import Jcli
from node_fsm.steps.decryption_speed import MEMBER_KEY, MEMBER_SECRET, POINTS, measure
from tests.contract.binaries import Binaries
from tests.support.fake_jcli import FakeJcli
from tests.support.polling import HANGING


def test_the_sums_are_of_so_many_votes_and_the_key_is_the_member_s() -> None:
    assert {votes: ristretto.encode(multiply(votes, BASE)).hex() for votes in POINTS} == POINTS
    secret = int.from_bytes(bech32.decode(MEMBER_SECRET.reveal())[1], "little")
    assert ballots.public_key(secret) == bech32.decode(MEMBER_KEY)[1]


async def test_it_is_measured_with_what_jcli_takes(binaries: Binaries, tmp_path: Path) -> None:
    jcli = Jcli(str(binaries.jcli), timeout=HANGING)

    speed = await measure(jcli, tmp_path)

    assert speed.jcli == await jcli.version()
    assert speed.call > 0
    assert speed.share > 0
    assert speed.search_step > 0
    assert DecryptionSpeed.parse(json.loads(json.dumps(speed.document()))) == speed
    assert list(tmp_path.iterdir()) == []


class CountedJcli(FakeJcli):
    """Takes a time by the law, without decrypting anything."""

    def __init__(self, law: DecryptionSpeed) -> None:
        super().__init__()
        self._law = law
        self.spent = 0.0

    async def decryption_shares(self, plans: Path, *_: object) -> tuple[str, ...]:
        return ("share",) * len(_proposals(plans))

    async def merge_shares(self, members: Sequence[Path], merged: Path) -> None:
        merged.write_bytes(members[0].read_bytes())

    async def decrypt_results(
        self, plans: Path, plan_id: str, merged: Path, result: Path, *, members: int, timeout: float
    ) -> None:
        proposals = _proposals(plans)
        assert len(json.loads(merged.read_text())) == len(proposals)
        sums = [bytes.fromhex(POINTS[votes]) for votes in POINTS]
        tallies = [ballots.EncryptedTally.from_bytes(_decoded(proposal)) for proposal in proposals]
        power = max(tally.power for tally in tallies)
        full = sum(_decoded(proposal)[-32:] != sums[0] for proposal in proposals)
        idle = DecryptionSpeed("", 1, self._law.call, self._law.share, self._law.table_step, 0.0)
        searched = self._law.search_step * full * (power**0.5 / 2)
        self.spent += idle.of_plan(power, [1] * len(proposals), 1) + searched


async def test_what_is_measured_is_what_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = DecryptionSpeed("jcli of the tests", 1, 0.005, 2e-4, 5e-6, 7e-6)
    jcli = CountedJcli(law)
    monkeypatch.setattr("node_fsm.steps.decryption_speed.perf_counter", lambda: 1e9 * jcli.spent)

    measured = await measure(jcli, tmp_path, lambda: jcli.spent)

    for name in ("call", "share", "table_step", "search_step"):
        assert getattr(measured, name) == pytest.approx(getattr(law, name), rel=1e-6), name


async def test_another_command_that_ends_meanwhile_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = DecryptionSpeed("jcli of the tests", 1, 0.005, 2e-4, 5e-6, 7e-6)
    jcli = CountedJcli(law)
    monkeypatch.setattr("node_fsm.steps.decryption_speed.perf_counter", lambda: jcli.spent)

    measured = await measure(jcli, tmp_path, lambda: 100 * jcli.spent)

    assert measured.search_step == pytest.approx(law.search_step, rel=1e-6)


def _proposals(plans: Path) -> list[dict[str, object]]:
    (plan,) = json.loads(plans.read_text())
    proposals: list[dict[str, object]] = plan["proposals"]
    return proposals


def _decoded(proposal: dict[str, object]) -> bytes:
    tally: object = proposal["tally"]
    assert isinstance(tally, dict)
    return b64decode(tally["Private"]["state"]["Encrypted"]["encrypted_tally"])
