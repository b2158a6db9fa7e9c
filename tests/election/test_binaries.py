"""Which executables the demo runs on."""

from pathlib import Path

import pytest
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.errors import UsageError

from tests.support.executable import write_executable


async def test_the_stand_ins_are_used_when_no_other_are_named() -> None:
    binaries = await Binaries.find(None, None)
    assert binaries.jcli.name == "sandbox-jcli"
    assert binaries.jormungandr.name == "sandbox-jormungandr"
    assert binaries.jcli_version.startswith("jcli ")
    assert "sandbox" in binaries.jormungandr_version


async def test_others_tell_their_versions(tmp_path: Path) -> None:
    jcli = write_executable(tmp_path / "a-jcli", "print('jcli 7')")
    jormungandr = write_executable(tmp_path / "a-jormungandr", "print('jormungandr 8')")
    assert await Binaries.find(jcli, jormungandr) == Binaries(jcli, jormungandr, "jcli 7", "jormungandr 8")


@pytest.mark.parametrize(
    ("source", "message"),
    [("print('jormungandr 8')", "is no jcli: of its version it says 'jormungandr 8'"), ("exit(3)", "does not tell")],
)
async def test_what_is_no_jcli_is_refused(tmp_path: Path, source: str, message: str) -> None:
    jormungandr = write_executable(tmp_path / "a-jormungandr", "print('jormungandr 8')")
    with pytest.raises(UsageError, match=message):
        await Binaries.find(write_executable(tmp_path / "jcli", source), jormungandr)


async def test_what_is_no_executable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jcli").touch()
    for path in (tmp_path / "jcli", tmp_path / "missing"):
        with pytest.raises(UsageError, match="is no executable file"):
            await Binaries.find(path, path)


@pytest.mark.parametrize("given", [(Path("jcli"), None), (None, Path("jormungandr"))])
async def test_a_real_one_does_not_run_with_a_stand_in(given: tuple[Path | None, Path | None]) -> None:
    with pytest.raises(UsageError, match="belong together"):
        await Binaries.find(*given)


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        (("jcli 1 (sandbox)", "jormungandr 1 (sandbox)"), "the stand-ins jcli 1 (sandbox) and jormungandr 1 (sandbox)"),
        (("jcli 7", "jormungandr 8"), "jcli 7 and jormungandr 8"),
    ],
)
def test_stand_ins_are_called_so(versions: tuple[str, str], told: str) -> None:
    assert str(Binaries(Path(), Path(), *versions)) == told
