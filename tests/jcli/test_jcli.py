"""The jcli adapter against a program that records how it was called."""

import json
from pathlib import Path
from typing import Any

import pytest

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import Payer
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from tests.support.executable import write_executable
from tests.support.polling import HANGING

RECORDER = """
import json, os, sys
arguments = sys.argv[1:]
stdin = sys.stdin.read()
with open(os.path.join(os.path.dirname(sys.argv[0]), "calls"), "a") as calls:
    print(json.dumps({"arguments": arguments, "stdin": stdin}), file=calls)
if "--output" in arguments:
    open(arguments[arguments.index("--output") + 1], "w").write("made")
if "refused" in arguments:
    sys.exit("it is refused")
print({"to-message": "cafe", "fragment-id": "f1d0"}.get(arguments[1], " answer ") if len(arguments) > 1 else "jcli 1")
"""

SIGNER = Secret("ed25519e_sk1hidden")
AUTHORITY = Secret("ed25519_sk1leader")
PAYER = Payer(address="ta1payer", counter=7, lane=3, secret=SIGNER)


@pytest.fixture
def jcli(tmp_path: Path) -> Jcli:
    return Jcli(str(write_executable(tmp_path / "jcli", RECORDER)))


def calls(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]


async def test_keys_go_over_standard_input_only(jcli: Jcli, tmp_path: Path) -> None:
    (tmp_path / "plan.cert").write_text("cert1")
    await jcli.public_key(SIGNER)
    await jcli.sign_certificate(tmp_path / "plan.cert", SIGNER, tmp_path / "plan.signedcert")
    await jcli.transaction(
        "cert1tally", PAYER, block0_hash="00" * 32, expiry=BlockDate(2, 9), directory=tmp_path, authority=AUTHORITY
    )
    given = [call["stdin"] for call in calls(tmp_path) if call["stdin"]]
    assert given == [SIGNER.reveal(), SIGNER.reveal(), SIGNER.reveal(), AUTHORITY.reveal()]
    assert "_sk1" not in str([call["arguments"] for call in calls(tmp_path)])


async def test_transaction_is_made_step_by_step(jcli: Jcli, tmp_path: Path) -> None:
    fragment = await jcli.transaction(
        "cert1vote", PAYER, block0_hash="ab" * 32, expiry=BlockDate(2, 9), directory=tmp_path
    )
    assert (fragment.id, fragment.raw) == ("f1d0", bytes.fromhex("cafe"))
    steps = [call["arguments"][1] for call in calls(tmp_path)]
    assert steps == [
        *("new", "add-account", "add-certificate", "set-expiry-date", "finalize", "data-for-witness"),
        *("make-witness", "add-witness", "seal", "to-message", "fragment-id"),
    ]
    make_witness = calls(tmp_path)[6]["arguments"]
    assert make_witness[2] == "answer"
    assert make_witness[make_witness.index("--account-spending-counter") + 1] == "7"
    assert make_witness[make_witness.index("--account-spending-counter-lane") + 1] == "3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "jcli"]


async def test_what_is_no_key_is_refused_and_not_repeated(jcli: Jcli) -> None:
    """The setting may name another program."""
    for attempt in (
        jcli.new_communication_key(),
        jcli.communication_public_key(SIGNER),
        jcli.new_member_key(1, "crs", 0, ["key"]),
        jcli.member_public_key(SIGNER),
        jcli.election_key(["key"]),
    ):
        with pytest.raises(PermanentError, match=r"printed what is no key .* check NODE_FSM_JCLI_PATH") as refusal:
            await attempt
        assert "answer" not in refusal.value.message


async def test_refused_output_leaves_no_file(jcli: Jcli, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="it is refused"):
        await jcli.new_vote_plan(Path("refused"), tmp_path / "plan.cert")
    assert not (tmp_path / "plan.cert").exists()


async def test_output_is_whole_and_private(jcli: Jcli, tmp_path: Path) -> None:
    await jcli.genesis_encode(tmp_path / "genesis.json", tmp_path / "block0.bin")
    assert (tmp_path / "block0.bin").read_text() == "made"
    assert (tmp_path / "block0.bin").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "block0.bin.partial").exists()


async def test_only_calls_that_read_block0_take_long(tmp_path: Path) -> None:
    slow = write_executable(tmp_path / "jcli", "import threading; threading.Event().wait(0.5)")
    jcli = Jcli(str(slow), timeout=0.1, genesis_timeout=HANGING)
    assert await jcli.genesis_hash(tmp_path / "block0.bin") == ""
    with pytest.raises(TemporaryError, match=r"did not end within 0\.1 s"):
        await jcli.version()


async def test_a_disk_that_refuses_is_named(jcli: Jcli, tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match=f"{tmp_path}/absent") as failure:
        await jcli.transaction(
            "cert1vote", PAYER, block0_hash="ab" * 32, expiry=BlockDate(2, 9), directory=tmp_path / "absent"
        )
    assert failure.value.reason == "DiskUnusable"
    (tmp_path / "block0.bin").mkdir()
    (tmp_path / "block0.bin" / "in the way").touch()
    with pytest.raises(TemporaryError, match=r"block0\.bin"):
        await jcli.genesis_encode(tmp_path / "genesis.json", tmp_path / "block0.bin")


async def test_an_answer_that_is_no_fragment_is_jclis_fault(tmp_path: Path) -> None:
    jcli = Jcli(str(write_executable(tmp_path / "jcli", RECORDER.replace("cafe", "coffee"))))
    with pytest.raises(PermanentError, match="NODE_FSM_JCLI_PATH") as failure:
        await jcli.transaction("cert1vote", PAYER, block0_hash="ab" * 32, expiry=BlockDate(2, 9), directory=tmp_path)
    assert failure.value.reason == "CommandFailed"
