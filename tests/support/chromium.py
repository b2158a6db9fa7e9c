"""The machine's Chromium, driven by Playwright; tests that need it are skipped where there is none."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

VARIABLE = "TEST_CHROMIUM"
"""Names the executable where it is not on PATH under one of its usual names."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all tests of a process."""
    executable = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip(f"no Chromium: install it, or set {VARIABLE}")
    async with async_playwright() as playwright:
        # Without its sandbox it starts as root, too; it shows nothing but what the test serves.
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        await browser.close()
