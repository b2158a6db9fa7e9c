"""The fault matrix is whole, and each of its cells is run."""

import csv
from pathlib import Path

import pytest

from node_fsm.core.phases import Phase
from tests.faults import test_matrix
from tests.faults.matrix.faults import FAULTS
from tests.faults.matrix.simulated import SIMULATED
from tests.faults.matrix.table import FILE, NOTHING, PHASES, Cell, read


def rows() -> list[dict[str, str]]:
    with FILE.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_each_fault_has_a_row_and_an_injector() -> None:
    by_real_means = {row["id"] for row in rows() if any(row[phase].isupper() for phase in Phase)}
    simulated = {row["id"] for row in rows() if any(row[phase].islower() for phase in Phase)}
    assert by_real_means == FAULTS.keys()
    assert simulated == SIMULATED.keys()


def test_each_cell_says_what_is_promised_or_that_nothing_can_happen() -> None:
    for row in rows():
        assert all(row[phase] for phase in Phase), row
        assert row["fault"], row
        assert row["injection"], row


def test_a_role_that_is_left_out_says_why() -> None:
    for row in rows():
        assert row["note"] or any(row[phase] != NOTHING for phase in PHASES[row["role"]]), row


def test_each_cell_is_a_test() -> None:
    marks = getattr(test_matrix.test_fault, "pytestmark")  # noqa: B009 - pytest put it there
    (parametrized,) = (mark for mark in marks if mark.name == "parametrize")
    cells = read()
    assert [case.id for case in parametrized.args[1]] == [str(cell) for cell in cells]
    assert len({str(cell) for cell in cells}) == len(cells)


HEADER = "id\tfault\tinjection\trole\t" + "\t".join(Phase) + "\tnote\n"


@pytest.mark.parametrize(
    ("role", "letters", "complaint"),
    [
        ("leader0", "???W-----", "'?' is not a valid Promise"),
        ("king", "W-------", "the role 'king' is none of"),
        ("follower", "-----W--", "a follower has no Tallying"),
    ],
)
def test_a_row_that_cannot_be_run_is_refused(tmp_path: Path, role: str, letters: str, complaint: str) -> None:
    file = tmp_path / "matrix.tsv"
    file.write_text(HEADER + "\t".join(["F01", "fault", "injection", role, *letters[:8], ""]) + "\n")
    with pytest.raises(ValueError, match=complaint.replace("?", r"\?")):
        read(file)


def test_a_small_letter_is_a_cell_of_the_simulation(tmp_path: Path) -> None:
    file = tmp_path / "matrix.tsv"
    file.write_text(HEADER + "F18\tclock\tset\tleader0\tg\t-\t-\t-\tM\t-\t-\t-\t\n")
    assert [(cell.phase, cell.promise.name, cell.simulated) for cell in read(file)] == [
        (Phase.WAITING, "GOES_ON", True),
        (Phase.RUNNING, "MONOTONE", False),
    ]
    assert isinstance(read(file)[0], Cell)
