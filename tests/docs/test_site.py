"""The site builds without a warning: each page is in its navigation, and no link in it is broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.polling import HANGING

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does it."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", directory],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return directory


def test_it_has_a_front_page(site: Path) -> None:
    assert "runs an on-chain election by itself" in (site / "index.html").read_text()


def test_what_stands_outside_of_its_directory_is_shown_with_links_that_fit(site: Path) -> None:
    cluster = (site / "cluster" / "index.html").read_text()
    assert "A cluster of four" in cluster
    assert 'href="../import/"' in cluster
    assert "Keep a Changelog" in (site / "changes" / "index.html").read_text()


def test_its_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text()
    assert 'src="http' not in page
    assert 'rel="stylesheet" href="http' not in page
