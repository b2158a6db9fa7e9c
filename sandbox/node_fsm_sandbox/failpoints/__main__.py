"""Lists the failpoints, one a line; and of an effect outside the database, which write records it."""

from node_fsm_sandbox.failpoints.names import effects, moments, place


def main() -> None:
    """Print them."""
    for effect in effects():
        for moment in moments(effect):
            name, same = f"{effect}:{moment}", place(effect, moment)
            print(name if name == same else f"{name} = {same}")  # noqa: T201 - this is what was asked for


if __name__ == "__main__":
    main()
