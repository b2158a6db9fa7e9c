"""What looks for secrets finds them."""

import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from node_fsm_sandbox.election.wallet import Wallet

from tests.security.children import Sightings
from tests.security.marks import Marks, key_mark
from tests.support.polling import eventually

PASSWORD = 'pa$$ w/"ord é@?&=+'
WALLET = Wallet()
MARKS = Marks({"password": PASSWORD, "key": key_mark(WALLET.secret)})


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "base64": b64encode,
    "base64 for URLs": urlsafe_b64encode,
    "base64 of a longer text": lambda data: b64encode(b"user:" + data + b"@"),
    "base64 of another longer text": lambda data: b64encode(b"user:x" + data + b"@host"),
    "percent-encoded": lambda data: quote(data, safe="").encode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_password_is_found(form: Callable[[bytes], bytes]) -> None:
    assert MARKS.found_in(b"before " + form(PASSWORD.encode()) + b" after") == {"password"}


@pytest.mark.parametrize("form", [json.dumps, repr, str])
def test_a_password_is_found_in_text(form: Callable[[str], str]) -> None:
    assert MARKS.found_in(f"before {form(PASSWORD)} after") == {"password"}


@pytest.mark.parametrize("form", list(FORMS.values())[:-1], ids=list(FORMS)[:-1])
@pytest.mark.parametrize("data", [WALLET.secret.reveal().encode(), WALLET.seed], ids=["bech32", "seed"])
def test_a_key_is_found(data: bytes, form: Callable[[bytes], bytes]) -> None:
    assert MARKS.found_in(b"before " + form(data) + b" after") == {"key"}


def test_a_key_in_capitals_and_half_a_key_are_found() -> None:
    text = key_mark(WALLET.secret)
    assert MARKS.found_in(text.upper()) == {"key"}
    assert MARKS.found_in(f"...{text[: len(text) // 2]}...") == {"key"}
    assert MARKS.found_in(f"...{text[len(text) // 2 :]}...") == {"key"}


def test_nothing_is_found_where_nothing_is() -> None:
    assert MARKS.found_in("ed25519_sk1*** postgresql://user:***@host " + WALLET.leader_id) == set()


async def test_what_children_show_and_what_files_hold_is_seen(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(PASSWORD)
    sightings = Sightings(MARKS)
    command = [sys.executable, "-IS", "-c", "import time; time.sleep(600)", PASSWORD]
    with subprocess.Popen(command, env={"KEY": WALLET.secret.reveal()}) as child:
        async with sightings.watching([psutil.Process()], [tmp_path]):
            await eventually(lambda: len(sightings.seen) >= 3)
        child.kill()
    assert {(where.partition(" (")[0], name) for where, name in sightings.seen} == {
        ("arguments of a child", "password"),
        ("environment of a child", "key"),
        (str(tmp_path / "file"), "password"),
    }
    assert len(sightings.processes) >= 1
