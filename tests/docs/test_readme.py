"""What the first page tells people to type is enough."""

import re
from pathlib import Path

from node_fsm.settings.model import Settings, load_settings

README = Path(__file__).parents[2] / "README.md"


def test_the_exported_settings_are_all_that_leader_0_needs() -> None:
    exported = dict(re.findall(r"^export (\w+)=(\S+)", README.read_text(), re.MULTILINE))
    assert load_settings(exported, Settings).role == exported["NODE_FSM_ROLE"]
