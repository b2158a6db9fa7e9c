"""``node-fsm run``: the service."""

import asyncio
import os

import typer


def run() -> None:
    """Run the service until SIGTERM."""
    from loguru import logger

    from node_fsm.cli.output import ExitCode, exit_code
    from node_fsm.core.errors import ServiceError
    from node_fsm.log import configure_logging
    from node_fsm.service import run_service
    from node_fsm.settings.model import Settings, load_settings

    settings = load_settings(os.environ, Settings)
    configure_logging(settings.log_level, settings.log_format)
    try:
        asyncio.run(run_service(settings))
    except ServiceError as error:  # into the log like all before it, for which nobody waits longer than it takes lines
        logger.critical("the service ends: {}", error)
        raise typer.Exit(exit_code(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever it was, it is said before the end
        logger.opt(exception=error).critical("the service ends")
        raise typer.Exit(ExitCode.FAILED) from None
