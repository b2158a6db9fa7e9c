"""The demo from its first process to its last."""

import asyncio
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from rich.console import Console

from node_fsm.core.errors import ServiceError
from node_fsm.sandbox.demo.binaries import Binaries
from node_fsm.sandbox.demo.directories import Directories, directories, require_writable
from node_fsm.sandbox.demo.display import Stopwatch, display_for
from node_fsm.sandbox.demo.errors import DemoError
from node_fsm.sandbox.demo.isolation import isolate
from node_fsm.sandbox.demo.outcome import Outcome
from node_fsm.sandbox.demo.performance import Performance
from node_fsm.sandbox.demo.report import report
from node_fsm.sandbox.demo.schedule import LIMIT
from node_fsm.sandbox.demo.signals import InterruptedBySignalError, until_signalled
from node_fsm.sandbox.demo.summary import print_summary
from node_fsm.sandbox.server import EmbeddedServerError

FAILED = 1


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line gives."""

    report: Path | None = None
    jcli: Path | None = None
    jormungandr: Path | None = None
    keep: Path | None = None


def run_demo(options: Options) -> int:
    """Run the demo; its exit code, 0 only when everything matched."""
    isolate(os.environ)
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        return asyncio.run(until_signalled(_demo(options, Console(highlight=False))))
    except InterruptedBySignalError as error:
        errors.print(f"{error}; nothing is left running")
        return error.exit_code
    except DemoError as error:
        errors.print(str(error), style="bold red")
        return FAILED


async def _demo(options: Options, console: Console) -> int:
    stopwatch, began = Stopwatch(), datetime.now(UTC)
    if options.report:
        require_writable(options.report)
    binaries = await Binaries.find(options.jcli, options.jormungandr)
    outcome = Outcome()
    with directories(options.keep) as places:
        reports = [places.work / "report.json", *([options.report] if options.report else [])]
        try:
            await _perform(binaries, places, outcome, console, stopwatch)
        except (DemoError, EmbeddedServerError, ServiceError) as error:
            outcome.problems.append(str(error))
        for file in reports:
            _write(file, report(outcome, binaries))
    print_summary(console, outcome, began, stopwatch.seconds)
    if options.keep:
        console.print(f"logs, storage, archives, votes and report are kept in {places.work}", soft_wrap=True)
    return FAILED if outcome.problems else 0


async def _perform(
    binaries: Binaries, places: Directories, outcome: Outcome, console: Console, stopwatch: Stopwatch
) -> None:
    """Hold both elections within the time there is; what came of them goes to *outcome*."""
    with display_for(console, stopwatch) as display:
        display.tell(f"{binaries.jcli_version}; {binaries.jormungandr_version}")
        performance = Performance(binaries, places, display, SystemRandom(), outcome)
        limit = asyncio.timeout(LIMIT)
        try:
            async with limit:
                await performance.run()
        except TimeoutError:
            if not limit.expired():
                raise
            raise DemoError(
                f"stopped after {stopwatch.seconds:.0f} s: this machine cannot hold both elections in 3 minutes;"
                f" the last that happened was: {display.latest}"
            ) from None


def _write(file: Path, content: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise DemoError(f"{file} cannot be written: {error.strerror}") from None
