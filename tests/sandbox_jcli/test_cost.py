"""A command imports what it needs and no more: that is what keeps it cheap."""

import subprocess
import sys
from pathlib import Path

import pytest

from node_fsm.chain import bech32
from node_fsm.chain.address import account_address

HEAVY = {"argparse", "asyncio", "cryptography", "dataclasses", "inspect", "json", "logging", "pathlib", "yaml"}
HASH = "ab" * 32

_PROGRAM = """
import sys
from node_fsm_sandbox.jcli.__main__ import main
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(directory: Path, *words: str) -> set[str]:
    """The top-level modules that a command has imported at its end."""
    completed = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM, *words], cwd=directory, capture_output=True, check=True, text=True
    )
    return set(completed.stderr.split())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a key and an unfinished transaction."""
    (tmp_path / "wallet.sk").write_text(bech32.encode("ed25519_sk", bytes(32)))
    imported(tmp_path, "transaction", "new", "--staging", "new")
    for words in (
        ["new"],
        ["add-account", account_address(bytes(32), production=False), "0"],
        ["set-expiry-date", "1.0"],
        ["finalize"],
    ):
        imported(tmp_path, "transaction", *words, "--staging", "final")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "--full-version",
        "key generate --type ed25519",
        "key to-public --input wallet.sk",
        f"certificate new vote-cast public --vote-plan-id {HASH} --proposal-index 0 --choice 0",
        "transaction set-expiry-date 1.2 --staging new",
        "transaction data-for-witness --staging final",
        (
            f"transaction make-witness {HASH} --genesis-block-hash {HASH} --type account --account-spending-counter 0"
            " a.witness wallet.sk"
        ),
    ],
)
def test_what_voters_call_imports_nothing_heavy(directory: Path, line: str) -> None:
    assert imported(directory, *line.split()) & HEAVY == set()
