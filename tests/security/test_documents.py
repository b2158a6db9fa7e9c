"""Files that an operator or an earlier life wrote, with anything in them: a clear error, and soon."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from node_fsm.archive.check import MAX_DOCUMENT_BYTES, UNCOUNTED, check_uncounted
from node_fsm.archive.private_tally import UnreadableError, read_results
from node_fsm.block0.template import load_template
from node_fsm.core.errors import PermanentError
from node_fsm.engine import journal
from node_fsm.importing.errors import InputFileError
from node_fsm.importing.voters_file import read_voters
from node_fsm.settings.model import packaged_template
from node_fsm.steps.archive import ABOUT, About
from node_fsm.steps.private_plan import read_result
from node_fsm.storage.workspace import ChainDirectory
from tests.importing.files import ELECTION, parsed
from tests.node.test_rest import HASH, PLAN
from tests.security.hostile import damaged

LONGEST_ERROR = 4000

LAUGHS = "\n".join(
    f"  {name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
    for before, name in ("ab", "bc", "cd", "de", "ef", "fg", "gh")
)
UNREADABLE = {
    "deep lists": "[" * 5000,
    "deep mappings": "{a: " * 3000,
    "no month": "a: 2020-13-45",
    "no offset": "a: 2001-12-14t21:59:43.10-99:00",
    "more digits than Python reads": "a: " + "9" * 5000,
    "hex without digits": "a: 0x_",
    "a text as integer": "!!int x",
    "a text as float": "!!float x",
    "a text as truth": "!!bool x",
    "a text as time": "!!timestamp x",
    "an object": "!!python/object/apply:os.system [id]",
    "itself": "&a [*a]",
    "nothing": "",
    "two documents": "a: 1\n---\nb: 2",
    "a control character": "a: \0",
    "a number without end": "blockchain_configuration: {slot_duration: 0x" + "f" * 5000 + "}",
    "gigabytes": f"blockchain_configuration:\n  linear_fees:\n   constant:\n  a: &a [x]\n{LAUGHS}",
    "gigabytes as a number": f"blockchain_configuration:\n  a: &a [x]\n{LAUGHS}\n  slot_duration: *h",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_template_that_cannot_be_read_is_said_to_be(text: str, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(text)
    with pytest.raises(PermanentError, match=str(file)) as refusal:
        load_template(file)
    assert refusal.value.reason == "TemplateInvalid"
    assert len(refusal.value.message) < LONGEST_ERROR


@settings(max_examples=50)
@given(damaged(yaml.safe_load(packaged_template().read_text())))
def test_a_damaged_template_is_good_or_said_not_to_be(document: Any) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "template.yaml"
        file.write_text(yaml.safe_dump(document))
        said = told(lambda: load_template(file), PermanentError)
    assert len(said) < LONGEST_ERROR


@settings(max_examples=50)
@given(damaged(yaml.load(ELECTION, yaml.BaseLoader)))  # noqa: S506 - the texts as they are, and nothing but texts
def test_a_damaged_election_is_good_or_said_not_to_be(document: Any) -> None:
    told(lambda: parsed(yaml.safe_dump(document)), InputFileError)


@given(st.text(alphabet="{}[]()<>:-+ \n\t\"'&*!|>#%@,?.~=0189aexT\\\ufeff\u2028"))
def test_any_text_is_an_election_or_said_not_to_be(text: str) -> None:
    assert told(lambda: parsed(text), InputFileError)


def told(read: Callable[[], object], error: type[PermanentError]) -> str:
    """What is said to be wrong, nothing if *read* takes it."""
    try:
        read()
    except error as refusal:
        return refusal.message
    return ""


UNCOUNTED_VOTES = [{"fragment_id": HASH, "account": HASH, "weight": 3, "why": "late", "raw": "00"}]
TALLIED = PLAN | {"proposals": PLAN["proposals"][:1]}
ENTRIES = [
    {
        "hostname": "leader0",
        "election_id": 1,
        "election_name": "Fund 1",
        "source": "Waiting",
        "event": "due",
        "target": "Running",
        "at": "2030-01-01T00:00:00+00:00",
        "reason": "it is time",
    }
]
ABOUT_IT = {"election_id": 1, "election_name": "Fund 1", "block0_hash": HASH, "kind": "final", "fingerprint": None}


def uncounted(directory: Path) -> object:
    return check_uncounted(directory / "document").ok


def results(directory: Path) -> object:
    try:
        return read_results(directory / "document")
    except UnreadableError:
        return None


def about(directory: Path) -> object:
    (directory / "document").rename(directory / ABOUT)
    return About.read(ChainDirectory(directory))


DOCUMENTS: dict[str, tuple[Callable[[Path], object], Any]] = {
    "uncounted votes": (uncounted, UNCOUNTED_VOTES),
    "results in an archive": (results, TALLIED),
    "results of an earlier life": (lambda directory: read_result(directory / "document"), TALLIED),
    "journal": (lambda directory: journal._read(directory / "document"), ENTRIES),
    "what a directory is about": (about, ABOUT_IT),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=50)
@given(data=st.data())
def test_a_damaged_document_is_read_or_is_none(kind: str, data: st.DataObject) -> None:
    read, document = DOCUMENTS[kind]
    with TemporaryDirectory() as directory:
        (Path(directory) / "document").write_text(json.dumps(data.draw(damaged(document))))
        read(Path(directory))


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_whole_document_is_read_and_one_without_end_is_none(kind: str, tmp_path: Path) -> None:
    read, document = DOCUMENTS[kind]
    (tmp_path / "document").write_text(json.dumps(document))
    assert read(tmp_path)
    for endless in ("[" * 100_000, '{"a":' * 100_000):
        (tmp_path / "document").write_text(endless)
        assert not read(tmp_path)


def test_a_document_of_an_archive_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    for name in ("document", "result.json"):
        with (tmp_path / name).open("wb") as large:
            large.truncate(MAX_DOCUMENT_BYTES + 1)
    found = check_uncounted(tmp_path / "document")
    assert (found.name, found.ok) == (UNCOUNTED, False)
    with pytest.raises(UnreadableError, match="more than"):
        read_results(tmp_path / "result.json")


@pytest.mark.parametrize(
    "head", ["", "voting_key,voting_group,voting_power\n", 'voting_key,voting_group,voting_power\n"']
)
def test_a_line_of_voters_without_end_is_not_read(tmp_path: Path, head: str) -> None:
    file = tmp_path / "voters.csv"
    with file.open("w") as stream:
        stream.write(head + "x" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InputFileError, match=rf"{file}, line {1 + bool(head)}: has 10000 characters or more"):
            list(read_voters(file, {"direct"}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20
