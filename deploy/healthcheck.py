"""Asks the service's heartbeat, from inside its container; ends with 0 when it answers 200.

The standard library only, and none of the service's own code: this runs twice a minute.
"""

import http.client
import ipaddress
import os
import sys
from collections.abc import Mapping

TIMEOUT_SECONDS = 5.0


def address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Where the service of this environment listens, as seen from its own machine."""
    host = ipaddress.ip_address(environ.get("NODE_FSM_HOST", "").strip() or "0.0.0.0")  # noqa: S104 - its default
    if host.is_unspecified:
        host = ipaddress.ip_address("127.0.0.1" if host.version == 4 else "::1")
    return str(host), int(environ.get("NODE_FSM_PORT", "").strip() or 8000)


def main() -> int:
    """Ask once."""
    host, port = address(os.environ)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/heartbeat")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"no heartbeat from {host} port {port}: {error}\n")
        return 1
    sys.stdout.write(f"heartbeat: {status}\n")
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
