"""The tutorial, followed as it is written; only its minutes are shorter, and its ports are free ones."""

import os
import re
import sys
from pathlib import Path

from node_fsm_sandbox.servers.server import free_port

from tests.docs.pages import ROOT
from tests.docs.shell import run, script
from tests.support.polling import HANGING

PAGE = ROOT / "docs" / "tutorial.md"
LEAD, VOTING, TALLYING = 20, 30, 60
"""Seconds. A vote is a dozen starts of Python."""


def test_it_leads_to_results_that_are_verified(tmp_path: Path) -> None:
    rest, p2p, port = free_port(), free_port(), free_port()
    text = script(
        PAGE,
        {
            "make setup": "true",
            '"$PWD/.venv/bin:$PATH"': f'"{Path(sys.executable).parent}:$PATH"',
            "export NODE_FSM_ROLE=leader0": f"export NODE_FSM_ROLE=leader0 NODE_FSM_PORT={port}"
            f" NODE_FSM_NODE_REST_LISTEN=127.0.0.1:{rest} NODE_FSM_NODE_P2P_LISTEN=127.0.0.1:{p2p}",
            "/tcp/10090": f"/tcp/{p2p}",
            "OFFSET_MINUTES=-1": f"OFFSET_MINUTES=-0.2 NODE_FSM_BLOCK0_TEMPLATE={fast_template(tmp_path)}",
            "http://127.0.0.1:10080/api": f"http://127.0.0.1:{rest}/api",
            "now + 120": f"now + {LEAD}",
            "now + 240": f"now + {LEAD + VOTING}",
            "now + 360": f"now + {LEAD + VOTING + TALLYING}",
            "start + 10": "start + 3",
            "\nnode-fsm status\n": "\nnode-fsm status || [ $? = 3 ]\n",  # which it ends with on stand-ins
            "rm -r tutorial\n": "",
        },
    )
    output = run(text, tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, seconds=3 * HANGING)
    assert output.count('"accepted":["') == 3, output
    assert re.search(r"\byes\b.* 650\b", output), output
    assert re.search(r"\bno\b.* 300\b", output), output
    assert "Traceback" not in (tmp_path / "tutorial" / "service.log").read_text()
    assert not (tmp_path / "tutorial" / "servers.env").exists()


def fast_template(directory: Path) -> Path:
    """The packaged template with slots of a second."""
    text = (ROOT / "block0_template.yaml").read_text()
    for slow, fast in (("slot_duration: 4", "slot_duration: 1"), ("max_size: 640000", "max_size: 160000")):
        assert slow in text
        text = text.replace(slow, fast)
    file = directory / "template.yaml"
    file.write_text(text)
    return file
