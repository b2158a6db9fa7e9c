"""The binaries that the contract is checked on: the stand-ins always, the real ones where there are any."""

from pathlib import Path

import pytest

from tests.contract.binaries import Binaries, sandbox_binaries


@pytest.fixture(scope="session", params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def binaries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Binaries:
    """One pair of executables after the other."""
    if request.param == "sandbox":
        return sandbox_binaries(tmp_path_factory.mktemp("bin"))
    jcli, jormungandr = (Path(request.getfixturevalue(name)) for name in ("real_jcli", "real_jormungandr"))
    return Binaries(sandbox=False, jcli=jcli, jormungandr=jormungandr)
