"""A log that takes no lines, for a while or for ever: nobody waits for it, and it is said what is missing."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_fsm.log.writer import LineWriter
from tests.support.polling import HANGING, eventually

CAPACITY = 100_000
LINE = "x" * 99


def notice(dropped: int) -> str:
    return f"{dropped} dropped"


class Pipe:
    """A pipe and a writer to it; nobody reads it before :meth:`drain`."""

    def __init__(self) -> None:
        self.reader, self.end = os.pipe()
        self.writer = LineWriter(self.end, notice, CAPACITY)
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read)

    def write(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.writer.write(f"{number:05} {LINE}")

    def drain(self) -> None:
        """Begin to read; what waits is written."""
        self._thread.start()
        assert self.writer.flush(HANGING)

    def lines(self) -> list[str]:
        """All lines that were read; the writer has no more."""
        assert self.writer.flush(HANGING)
        os.close(self.end)
        self._thread.join(HANGING)
        return self._data.decode().splitlines()

    def _read(self) -> None:
        while piece := os.read(self.reader, 2**16):
            self._data.extend(piece)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)
    pipe.writer.close()


def test_lines_that_fit_wait_and_are_written_in_order(pipe: Pipe) -> None:
    pipe.write(1, 900)
    assert not pipe.writer.flush(0.01)
    pipe.drain()
    assert [int(line.split()[0]) for line in pipe.lines()] == list(range(1, 901))
    assert pipe.writer.dropped == 0


def test_lines_that_do_not_fit_are_dropped_and_their_number_takes_their_place(pipe: Pipe) -> None:
    pipe.write(1, 5000)
    dropped = pipe.writer.dropped
    assert 3000 < dropped < 5000
    pipe.drain()
    pipe.write(5001, 5001)
    told, expected = 0, 1
    for line in pipe.lines():
        if missing := re.fullmatch(r"(\d+) dropped", line):
            told += int(missing[1])
            expected += int(missing[1])
        else:
            assert line == f"{expected:05} {LINE}"
            expected += 1
    assert expected == 5002
    assert told == dropped == pipe.writer.dropped


def test_a_reader_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    end = os.open(fifo, os.O_WRONLY)
    writer = LineWriter(end, notice)
    writer.write("read")
    assert writer.flush(HANGING)
    assert os.read(reader, 100) == b"read\n"
    os.close(reader)
    for _ in range(10):
        writer.write("lost")
    assert writer.flush(HANGING)
    assert writer.dropped == 10
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer.write("read again")
    assert writer.flush(HANGING)
    assert os.read(reader, 100).decode() == f"{notice(10)}\nread again\n"
    writer.close()
    os.close(reader)
    os.close(end)


def test_a_full_disk_ends_nothing() -> None:
    with Path("/dev/full").open("wb") as full:
        writer = LineWriter(full.fileno(), notice)
        writer.write("lost")
        assert writer.flush(HANGING)
        writer.close()
    assert writer.dropped == 1


def test_a_descriptor_that_others_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.end, False)
    pipe.write(1, 900)
    pipe.drain()
    assert len(pipe.lines()) == 900


_PROCESS = """
import sys
from loguru import logger
from node_fsm.log import configure_logging

configure_logging("INFO", "json")
for number in range({lines}):
    logger.info("{{}} {{}}", number, "x" * 1000)
print("ends", flush=True)
"""


def start(lines: int) -> "subprocess.Popen[bytes]":
    """A process that logs so many lines to a pipe, says that it ends, and ends."""
    source = _PROCESS.format(lines=lines)
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_end_of_a_process_waits_for_its_log() -> None:
    with start(2000) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"ends"
        assert process.stderr is not None
        assert [re.findall(rb'"message": "(\d+) ', line) for line in process.stderr] == [
            [b"%d" % number] for number in range(2000)
        ]
        assert process.wait(HANGING) == 0


@pytest.mark.parametrize("gone", [False, True])
async def test_a_log_that_nobody_reads_does_not_keep_a_process(gone: bool) -> None:
    with start(20_000) as process:
        assert process.stderr is not None
        if gone:
            process.stderr.close()
        await eventually(lambda: process.poll() is not None, seconds=HANGING)
        assert process.returncode == 0
