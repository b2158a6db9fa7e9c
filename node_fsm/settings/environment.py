"""The process environment as settings read it: which names are ours, which are mistaken, which point to files."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

PREFIX = "NODE_FSM_"

_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
_SERVICE_LINK_NAME = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")


def read_environment(
    environ: Mapping[str, str], known: Collection[str], from_file: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """The values of the *known* variables, and what is wrong with the environment, one sentence each.

    A variable of *from_file* may also be given as the path of a file, in ``<name>_FILE``. Empty values count as
    not set, white space around a value is dropped. No problem text holds a value.
    """
    links = sorted(name for name, value in environ.items() if _is_service_link(name, value))
    given = {name: value.strip() for name, value in environ.items() if value.strip() and name not in links}
    problems = _unknown(given, [*known, *(f"{name}_FILE" for name in from_file)])
    if links:
        problems.append(
            f"{', '.join(links)}: Kubernetes sets these in every pod beside a Service of this name; "
            "set enableServiceLinks: false in the pod's specification"
        )
    values = {name: given[name] for name in known if name in given}
    for name in from_file:
        path = given.get(f"{name}_FILE")
        if path and name in values:
            problems.append(f"{name} and {name}_FILE are both set: set one of them")
        elif path:
            try:
                values[name] = _content(path)
            except ValueError as error:
                problems.append(f"{name}_FILE={path}: {error}")
    return values, problems


def _is_service_link(name: str, value: str) -> bool:
    return name.startswith(PREFIX) and bool(_SERVICE_LINK_VALUE.match(value) or _SERVICE_LINK_NAME.fullmatch(name))


def _unknown(given: Collection[str], known: Collection[str]) -> list[str]:
    stems = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
    problems = []
    for name in sorted(given):
        if name.upper().startswith(PREFIX) and name not in known:
            close = get_close_matches(name.upper().removeprefix(PREFIX), stems, n=1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else "`node-fsm config --markdown` lists all there are"
            problems.append(f"{name} is not a setting; {hint}")
    return problems


def _content(path: str) -> str:
    """The text of a file; ValueError saying why there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if not text:
        raise ValueError("is empty")
    return text
