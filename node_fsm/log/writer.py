"""Writing log lines behind the program's back, so that a log that nobody reads holds up nothing."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

CAPACITY = 8 * 2**20
"""Bytes of lines that may wait: some forty thousand of them."""

EXIT_SECONDS = 5.0
"""How long the end of the process waits for lines to be written."""

_FULL_PIPE_SECONDS = 1.0


class LineWriter:
    """Writes lines to a file descriptor on a thread of its own, in their order, each whole.

    Lines wait while the descriptor takes none, as a pipe does whose reader stands still. Those that come when
    *capacity* bytes wait are dropped, until half of it is free again; so is a line that cannot be written, because the
    disk is full or the reader gone. *notice* makes, of the number of these, the line that takes their place.
    """

    def __init__(self, descriptor: int, notice: Callable[[int], str], capacity: int = CAPACITY) -> None:
        self._descriptor = descriptor
        self._notice = notice
        self._capacity = capacity
        self._lines: deque[tuple[bytes, int]] = deque()
        """Each with the number of dropped lines that it tells of."""
        self._waiting = 0
        self._unsaid = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._closed = False
        # A daemon: a thread that waits for a reader must not keep the process from its end.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """How many lines were never written."""
        return self._dropped

    def write(self, line: str) -> None:
        """Have *line* written, or drop it; never waits."""
        with self._changed:
            if self._has_room:
                self._tell()
                self._append(line)
            else:
                self._drop()

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Wait until every line is written or dropped, *timeout* seconds at most; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines, timeout)

    def close(self) -> None:
        """Take no more lines; what waits is written still."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def _has_room(self) -> bool:
        return self._waiting < (self._capacity // 2 if self._unsaid else self._capacity)

    def _append(self, line: str, tells_of: int = 0) -> None:
        data = f"{line}\n".encode(errors="backslashreplace")
        self._lines.append((data, tells_of))
        self._waiting += len(data)
        self._changed.notify_all()

    def _drop(self) -> None:
        self._unsaid += 1
        self._dropped += 1

    def _tell(self) -> None:
        """Have the number of dropped lines told, if there are any of which no line tells yet."""
        if self._unsaid and self._has_room:
            self._append(self._notice(self._unsaid), tells_of=self._unsaid)
            self._unsaid = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                line, tells_of = self._lines[0]
            written = self._write(line)
            with self._changed:
                self._lines.popleft()  # only now: what is being written still counts as waiting
                self._waiting -= len(line)
                if written:
                    self._tell()
                elif tells_of:
                    self._unsaid += tells_of
                else:
                    self._drop()
                self._changed.notify_all()

    def _write(self, line: bytes) -> bool:
        """Write *line*, however long that takes; False when it cannot be."""
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # whoever shares the descriptor has made it so
                select.select([], [self._descriptor], [], _FULL_PIPE_SECONDS)
            except OSError:
                return False
        return True
