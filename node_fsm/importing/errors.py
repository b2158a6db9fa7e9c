"""What is wrong with files that an operator imports."""

from node_fsm.core.errors import InvalidInputError

MAX_PROBLEMS = 20


class InputFileError(InvalidInputError):
    """A file that cannot be imported; the message has the first MAX_PROBLEMS of its *problems*."""

    def __init__(self, problems: list[str]) -> None:
        shown = problems[:MAX_PROBLEMS]
        if len(problems) > len(shown):
            shown.append("there are more; mend these first")
        super().__init__("InputFileInvalid", shown)
        self.problems = tuple(problems)
