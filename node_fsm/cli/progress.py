"""How far a command is that takes longer than two seconds: bars on a terminal, lines elsewhere, on standard error."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from node_fsm.cli.output import say
from node_fsm.core.progress import Progress, Stages

PATIENCE = 2.0
"""Seconds after which somebody who sees nothing wonders."""
LINE_SECONDS = 10.0


@contextmanager
def progress_stages() -> Iterator[Stages]:
    """Show what is being done: a bar begins when something is told of it first, and gives way to that of the next."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        with _lines() as stage:
            yield stage
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:

        def begin(title: str) -> Progress:
            for earlier in bars.task_ids:
                bars.update(earlier, visible=False)
            task = bars.add_task(title, total=None, visible=False)
            return lambda done, total: bars.update(task, completed=done, total=total or None, visible=True)

        yield begin


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show one thing that is being done."""
    with progress_stages() as stage:
        yield stage(title)


@contextmanager
def _lines() -> Iterator[Stages]:
    """After PATIENCE a line for each thing that is done, and again every LINE_SECONDS, also while nothing is told."""
    told: dict[str, tuple[int, int]] = {}
    ended = Event()

    def begin(title: str) -> Progress:
        def tell(done: int, total: int) -> None:
            told.pop(title, None)  # the last comes last
            told[title] = (done, total)

        return tell

    def speak() -> None:
        said_what, said_at, began = "", 0.0, time.monotonic()
        while not ended.wait(0.2):
            now = time.monotonic()
            if not told or now - began < PATIENCE:
                continue
            what, (done, total) = list(told.items())[-1]
            if what != said_what or now - said_at >= LINE_SECONDS:
                said_what, said_at = what, now
                say(f"{what}: {100 * done // total} %" if total else f"{what} …", err=True)

    speaker = Thread(target=speak, name="progress", daemon=True)
    speaker.start()
    try:
        yield begin
    finally:
        ended.set()
        speaker.join()
