"""Programs that fail once at everything they are asked, and say all that they know of it."""

import sys
from pathlib import Path

_COMPLAINING = """\
import os, re, sys
words = []
for argument in sys.argv[1:]:
    if not re.fullmatch("[a-z][a-z-]*", argument):
        break
    words.append(argument)
mark = os.path.join({directory!r}, "-".join(words) or "none")
if not os.path.exists(mark) and "--full-version" not in sys.argv:
    open(mark, "w").close()
    given = sys.stdin.read()
    for said in (given, given.strip(), given.upper(), repr(given), f"{{sys.argv}} {{dict(os.environ)}}"):
        print("cannot parse", said, file=sys.stderr)
        print("cannot parse", said, flush=True)
    sys.exit(1)
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


def complaining(program: Path, directory: Path) -> Path:
    """A program that is *program*, but for the first time that each of its commands is given."""
    done = directory / f"{program.name}-complained"
    done.mkdir(parents=True)
    path = directory / program.name
    path.write_text(f"#!{sys.executable} -IS\n{_COMPLAINING.format(directory=str(done), program=str(program))}")
    path.chmod(0o700)
    return path
