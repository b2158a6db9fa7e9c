"""What is wrong with the settings."""

from node_fsm.core.errors import InvalidInputError


class SettingsError(InvalidInputError):
    """The environment does not make settings."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("SettingsInvalid", problems)
