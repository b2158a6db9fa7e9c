"""``sandbox-jormungandr``: the stand-in for the node."""

import asyncio
import logging
import signal
import sys

from node_fsm_sandbox.node.arguments import FULL_VERSION, Arguments, parse_arguments
from node_fsm_sandbox.node.errors import ExitCode, NodeError, system_reason
from node_fsm_sandbox.node.log import start_logging
from node_fsm_sandbox.node.node import run
from node_fsm_sandbox.node.settings import log_settings, make_settings, read_config
from node_fsm_sandbox.node.store import BlockStore

_logger = logging.getLogger("jormungandr")


def main() -> None:
    """Run the node with the command line of this process, and end with its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the node can end in order
    try:
        _main(parse_arguments(sys.argv[1:]))
    except NodeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.DONE)


def _main(arguments: Arguments) -> None:
    config = read_config(arguments)
    try:
        start_logging(log_settings(config, arguments))
    except OSError as error:
        raise NodeError(ExitCode.USAGE, "Unable to initialize the logger", system_reason(error)) from error
    _logger.info("Starting %s", FULL_VERSION)
    settings = make_settings(config, arguments)
    if settings.secret is None:
        _logger.warning("Node started without path to the stored secret keys (not a stake pool or a BFT leader)")
    store = BlockStore(settings.storage)
    try:
        if arguments.storage_check:
            _logger.info("Exiting after successful storage setup")
        else:
            asyncio.run(run(settings, store))
    finally:
        store.close()


if __name__ == "__main__":
    main()
