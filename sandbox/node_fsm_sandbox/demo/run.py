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

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import ServiceError
from node_fsm_sandbox.demo.directories import Directories, directories
from node_fsm_sandbox.demo.display import Display, Stopwatch, display_for
from node_fsm_sandbox.demo.outcome import Outcome, report
from node_fsm_sandbox.demo.performance import Performance
from node_fsm_sandbox.demo.schedule import LIMIT
from node_fsm_sandbox.demo.signals import InterruptedBySignalError, until_signalled
from node_fsm_sandbox.demo.summary import print_summary, verdict
from node_fsm_sandbox.election.binaries import Binaries
from node_fsm_sandbox.election.environment import isolate
from node_fsm_sandbox.election.errors import SandboxError, UsageError
from node_fsm_sandbox.servers.server import EmbeddedServerError

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
    except EmbeddedServerError as error:  # the guard could not remove the demo's directory
        errors.print(str(error), style="bold red")
        return FAILED
    except SandboxError as error:
        errors.print(str(error), style="bold red")
        return error.exit_code


async def _demo(options: Options, console: Console) -> int:
    stopwatch, began = Stopwatch(), datetime.now(UTC)
    outcome = Outcome()
    with directories(options.keep) as places:
        if options.report:
            _begin(options.report)
        binaries = await Binaries.find(options.jcli, options.jormungandr)
        try:
            await _perform(binaries, places, outcome, console, stopwatch)
        except (SandboxError, EmbeddedServerError, ServiceError, OSError) as error:
            outcome.stopped = str(error) or type(error).__name__
        kept = places.work if options.keep else None
        print_summary(console, outcome, began, kept)
        for file in (options.report, kept and kept / "report.json"):
            try:
                if file:
                    _write(file, report(outcome, binaries))
            except OSError as error:
                outcome.problems.append(f"{file} cannot be written: {error.strerror}")
        console.print(verdict(outcome, binaries, stopwatch.seconds), soft_wrap=True)
    return 0 if outcome.matched else FAILED


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
            raise SandboxError(_too_slow(display)) from None


def _too_slow(display: Display) -> str:
    complaints = [
        f"{node.hostname}: {type_}, {reason}"
        for node in (display.moment.nodes if display.moment else ())
        for type_, reason in node.conditions.items()
        if type_ != ConditionType.SANDBOX
    ]
    held = f"; conditions that hold: {'; '.join(complaints)}" if complaints else ""
    return f"this machine cannot hold both elections in 10 minutes; the last that happened was: {display.latest}{held}"


def _begin(file: Path) -> None:
    """Have no earlier report pass for this demo's, and notice at once when none can be written."""
    try:
        _write(file, {"ok": False})
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n")
