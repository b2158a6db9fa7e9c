"""Runs a command on a leash: when the other end of a connection closes, the command is asked to end, then made to.

    python -I -S leash.py FD GRACE COMMAND [ARGUMENT...]

FD is one end of a stream socket. The command starts when GO comes, and its process id is written back as a line.
The end of the stream, which the kernel brings about even when the holder was killed, means: SIGTERM now, SIGKILL
after GRACE seconds. SIGTERM and SIGINT to the leash mean the same. The command inherits standard input, output and
error. The leash ends with the command's exit code, 128 + n when signal n ended it, 127 when it could not be started.

This file is run alone, before anything is installed or imported: the standard library only.
"""

import os
import select
import signal
import sys
import time
from contextlib import suppress

GO = b"go\n"
NOT_STARTED = 127


def main(leash: int, grace: float, command: list[str]) -> int:
    """Run *command* until it ends or the leash is let go; the exit code."""
    os.set_inheritable(leash, False)
    if not os.read(leash, len(GO)):
        return 0  # let go before it began
    news, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # each only writes its number to the wakeup pipe
    try:
        child = os.posix_spawnp(command[0], command, os.environ, setsigdef=[signal.SIGPIPE])
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started: {error.strerror}\n".encode())
        return NOT_STARTED
    os.close(0)  # the command's alone: it may be a pipe with a secret in it
    with suppress(OSError):  # nobody may hold the leash any more; its end of stream is seen below
        os.write(leash, b"%d\n" % child)
    watched = [leash, news]
    kill_at: float | None = None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended and kill_at is not None and time.monotonic() >= kill_at:
            os.kill(child, signal.SIGKILL)
            ended, status = os.waitpid(child, 0)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
        patience = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready = select.select(watched, [], [], patience)[0]
        signals = os.read(news, 64) if news in ready else b""
        if kill_at is None and (leash in ready or signal.SIGTERM in signals or signal.SIGINT in signals):
            watched = [news]
            kill_at = time.monotonic() + grace
            os.kill(child, signal.SIGTERM)
            os.kill(child, signal.SIGCONT)  # a stopped command could not act on SIGTERM


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
