"""``node-fsm run``: the service."""

import asyncio
import os


def run() -> None:
    """Run the service until SIGTERM."""
    from node_fsm.log import configure_logging
    from node_fsm.service import run_service
    from node_fsm.settings.model import Settings, load_settings

    settings = load_settings(os.environ, Settings)
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(run_service(settings))
