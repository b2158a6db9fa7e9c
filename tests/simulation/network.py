"""Who reaches whom. The database and S3 are places as hosts are."""

from collections.abc import Iterable

DATABASE = "the database"
S3 = "S3"


class Network:
    """Links between places, each of which may be cut in several ways at once."""

    def __init__(self) -> None:
        self._cuts: list[frozenset[str]] = []

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between *one* and *other*."""
        self._cuts.append(frozenset({one, other}))

    def mend(self, one: str, other: str) -> None:
        """Undo one cut between them."""
        self._cuts.remove(frozenset({one, other}))

    def reaches(self, one: str, other: str) -> bool:
        return frozenset({one, other}) not in self._cuts

    def part_of(self, name: str, others: Iterable[str]) -> set[str]:
        """*name*, and those of *others* that it reaches, be it through another of them."""
        found, to_see, left = {name}, [name], set(others) - {name}
        while to_see:
            here = to_see.pop()
            reached = {other for other in left if self.reaches(here, other)}
            left -= reached
            found |= reached
            to_see += reached
        return found
