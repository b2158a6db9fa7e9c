"""An election's commands of jcli, from seeded keys to signed fragments, and what they made when the real one ran them.

The recording is made anew by ``python -m tests.contract.recording /path/to/jcli``.
"""

import json
import sys
from hashlib import blake2b, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.contract.chains import TOKEN
from tests.contract.commands import Jcli
from tests.support.chain_configuration import SLOTS_PER_EPOCH

FILE = Path(__file__).with_name("data") / "jcli_recording.json"

_DATES = {"vote_start": "0.0", "vote_end": "2.0", "committee_end": "4.0"}
_FUNDED = ("leader", "committee", "voter")


def play(jcli: Jcli) -> dict[str, str]:
    """Run the commands in the directory of *jcli*; what each made, by a name of its own.

    Block 0 is too large to be kept: its hash and the hash of its bytes stand for it.
    """
    made: dict[str, str] = {}

    def run(name: str, *arguments: str, stdin: str = "") -> str:
        made[name] = jcli.out(*arguments, stdin=stdin)
        jcli.write(name, f"{made[name]}\n")
        return made[name]

    for name, kind in (("leader", "ed25519"), ("committee", "ed25519extended"), ("voter", "ed25519extended")):
        run(f"{name}.sk", "key", "generate", "--type", kind, "--seed", _seed(name))
        public = run(f"{name}.pk", "key", "to-public", "--input", f"{name}.sk")
        run(f"{name}.id", "key", "to-bytes", stdin=public)
        run(f"{name}.addr", "address", "account", "--testing", "--prefix", "ta", public)

    committee = ("votes", "committee")
    for member in ("one", "two"):
        run(f"{member}.comm.sk", *committee, "communication-key", "generate", "--seed", _seed(f"{member} comm"))
        run(f"{member}.comm.pk", *committee, "communication-key", "to-public", "--input", f"{member}.comm.sk")
    shared = [made[f"{member}.comm.pk"] for member in ("one", "two")]
    for index, member in enumerate(("one", "two")):
        run(
            f"{member}.sk",
            *(*committee, "member-key", "generate", "--threshold", "2", "--crs", "crs", "--index", str(index)),
            *("--seed", _seed(member), "--keys", *shared),
        )
        run(f"{member}.pk", *committee, "member-key", "to-public", "--input", f"{member}.sk")
    members = [made[f"{member}.pk"] for member in ("one", "two")]
    run("election.pk", "votes", "election-key", "--keys", *members)

    for kind, signer, keys in (("public", "leader", []), ("private", "committee", members)):
        jcli.write(f"{kind}.json", json.dumps(_plan(kind, keys)))
        run(f"{kind}.cert", "certificate", "new", "vote-plan", f"{kind}.json")
        run(f"{kind}.id", "certificate", "show", "vote-plan-id", "--input", f"{kind}.cert")
        sign = ("certificate", "sign", "--certificate", f"{kind}.cert", "--key", f"{signer}.sk")
        run(f"{kind}.signedcert", *sign)

    jcli.write("genesis.json", json.dumps(_genesis(made)))
    assert jcli.out("genesis", "encode", "--input", "genesis.json", "--output", "block0.bin") == ""
    made["block0.sha256"] = sha256((jcli.directory / "block0.bin").read_bytes()).hexdigest()
    run("block0.hash", "genesis", "hash", "--input", "block0.bin")
    made["block0.yaml.sha256"] = sha256(jcli.out("genesis", "decode", "--input", "block0.bin").encode()).hexdigest()

    plan_id = ("--vote-plan-id", made["public.id"])
    new = ("certificate", "new")
    run("vote.cert", *new, "vote-cast", "public", *plan_id, "--proposal-index", "1", "--choice", "2")
    run("tally.cert", *new, "vote-tally", "public", *plan_id)
    for name, payer, authority in (
        ("vote", "voter", None),
        ("tally", "leader", "committee"),
        ("public", "leader", "leader"),
    ):
        _make_transaction(jcli, made, name, payer, authority)
    return made


def _make_transaction(jcli: Jcli, made: dict[str, str], name: str, payer: str, authority: str | None) -> None:
    staging = ("--staging", f"{name}.staging")
    fees = ("--fee-constant", "2", "--fee-coefficient", "3", "--fee-certificate", "5")
    for words in (
        ["new"],
        ["add-account", made[f"{payer}.addr"], "10"],
        ["add-certificate", made[f"{name}.cert"]],
        ["set-expiry-date", "1.9"],
        ["finalize", *fees],
    ):
        jcli.out("transaction", *words, *staging)
    data = made[f"{name}.data"] = jcli.out("transaction", "data-for-witness", *staging)
    jcli.out(
        *("transaction", "make-witness", data, "--genesis-block-hash", made["block0.hash"], "--type", "account"),
        *("--account-spending-counter", "3", "--account-spending-counter-lane", "2"),
        *(f"{name}.witness", f"{payer}.sk"),
    )
    made[f"{name}.witness"] = jcli.read(f"{name}.witness")
    jcli.out("transaction", "add-witness", f"{name}.witness", *staging)
    made[f"{name}.info"] = jcli.out("transaction", "info", *fees, *staging)
    jcli.out("transaction", "seal", *staging)
    if authority:
        jcli.out("transaction", "auth", "--key", f"{authority}.sk", *staging)
    made[f"{name}.staging"] = (jcli.directory / f"{name}.staging").read_bytes().hex()
    made[f"{name}.fragment"] = jcli.out("transaction", "to-message", *staging)
    made[f"{name}.fragment.id"] = jcli.out("transaction", "fragment-id", *staging)


def _seed(name: str) -> str:
    return blake2b(f"recording: {name}".encode(), digest_size=32).hexdigest()


def _plan(kind: str, member_keys: list[str]) -> dict[str, Any]:
    return {
        "payload_type": kind,
        **_DATES,
        "proposals": [
            {"external_id": _seed(f"proposal {index}"), "options": 2 + index, "action": "off_chain"}
            for index in range(2)
        ],
        "committee_member_public_keys": member_keys,
        "voting_token": TOKEN,
    }


def _genesis(made: dict[str, str]) -> dict[str, Any]:
    return {
        "blockchain_configuration": {
            "block0_date": 1_700_000_000,
            "discrimination": "test",
            "block0_consensus": "bft",
            "slots_per_epoch": SLOTS_PER_EPOCH,
            "slot_duration": 1,
            "linear_fees": {"constant": 2, "coefficient": 3, "certificate": 5},
            "consensus_leader_ids": [made["leader.pk"]],
            "committees": [made["committee.id"]],
        },
        "initial": [
            {"fund": [{"address": made[f"{name}.addr"], "value": 100 + index} for index, name in enumerate(_FUNDED)]},
            {"token": {"token_id": TOKEN, "to": [{"address": made["voter.addr"], "value": 7}]}},
            {"cert": made["public.signedcert"]},
            {"cert": made["private.signedcert"]},
        ],
    }


def main() -> None:
    """Record what the jcli named on the command line makes."""
    with TemporaryDirectory() as directory:
        made = play(Jcli(Path(sys.argv[1]).absolute(), Path(directory)))
    FILE.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
