"""The byte-for-byte promise: from the same seeds every jcli makes what the real one made once."""

import json

from tests.contract.commands import Jcli
from tests.contract.recording import FILE, play


def test_recording(jcli: Jcli) -> None:
    assert play(jcli) == json.loads(FILE.read_text())
