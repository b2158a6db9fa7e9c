"""How long private votes may take to be opened, for commands: by the speed of leader 0, or else of this machine."""

from pathlib import Path
from tempfile import gettempdir

from node_fsm.core.decryption import DecryptionLimit
from node_fsm.core.errors import ServiceError
from node_fsm.database.election_import import reported_decryption_speed
from node_fsm.database.session import Session
from node_fsm.programs.jcli import Jcli
from node_fsm.settings.model import CommandSettings
from node_fsm.steps.decryption_speed import measure


async def decryption_limit(session: Session, settings: CommandSettings) -> DecryptionLimit | str:
    """The limit; a warning when neither leader 0 has told its speed nor jcli can be tried here."""
    speed = await reported_decryption_speed(session)
    if speed is None:
        try:
            speed = await measure(Jcli(settings.jcli_path), Path(gettempdir()))
        except (ServiceError, OSError) as error:  # the temporary directory may not be writable
            return (
                "whether its private votes can be decrypted within NODE_FSM_MAX_DECRYPT_SECONDS is checked by leader 0"
                f" only: it has not told yet how fast it is, and here {error}"
            )
    return DecryptionLimit(speed, settings.max_decrypt_seconds)
