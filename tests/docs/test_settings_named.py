"""Every setting that a page, a file to deploy by or a message names is one."""

import re
from pathlib import Path

import pytest

from node_fsm.settings.model import Settings
from tests.docs.pages import ROOT, name, pages

NAMED = re.compile(r"\bNODE_FSM_(?:[A-Z0-9_]*\*|(?:[A-Z0-9_]*[A-Z0-9])?)")
KNOWN = {Settings.variable(field) for field in Settings.model_fields} | {
    f"{Settings.variable(field)}_FILE" for field in Settings.FROM_FILE
}
OF_KUBERNETES = {"NODE_FSM_SERVICE_HOST"}
"""What Kubernetes sets beside a Service of this name; the page on settings says how that is turned off."""


def unknown(text: str) -> set[str]:
    """The names in *text* that are no setting's, nor the beginning of one's where a * or nothing follows."""
    found = set(NAMED.findall(text)) - KNOWN - OF_KUBERNETES - {"NODE_FSM_"}
    return {each for each in found if not (each.endswith("*") and any(known.startswith(each[:-1]) for known in KNOWN))}


def files() -> list[Path]:
    """What people read or deploy by, and the service's own source."""
    code = [path for folder in ("node_fsm", "states") for path in (ROOT / folder).rglob("*.py")]
    deployed = [path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return sorted(
        {*pages(), *code, *deployed, ROOT / "Containerfile", ROOT / "block0_template.yaml", ROOT / "Makefile"}
    )


@pytest.mark.parametrize("path", pages(), ids=name)
def test_every_setting_of_a_page_is_one(path: Path) -> None:
    assert unknown(path.read_text()) == set()


def test_every_setting_that_other_files_name_is_one() -> None:
    assert {name(path): wrong for path in files() if (wrong := unknown(path.read_text(errors="replace")))} == {}


def test_what_is_no_setting_is_found() -> None:
    assert unknown("NODE_FSM_ROLE NODE_FSM_NODE_* NODE_FSM_DATABASE_URL_FILE `NODE_FSM_`") == set()
    assert unknown("NODE_FSM_ROLES NODE_FSM_NODES_* NODE_FSM_ROLE_FILE") == {
        "NODE_FSM_ROLES",
        "NODE_FSM_NODES_*",
        "NODE_FSM_ROLE_FILE",
    }
