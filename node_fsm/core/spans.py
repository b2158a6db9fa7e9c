"""Lengths of time as people say them."""

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def spoken(seconds: int) -> str:
    """How long *seconds* are, in the two largest units: ``3 d 4 h``, ``12 min 5 s``; what is 0 is left out."""
    parts: list[tuple[int, str]] = []
    rest = seconds
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"
