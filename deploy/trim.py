"""Removes from an environment what the service never reads: python3 trim.py ENVIRONMENT. Needs strip, of binutils.

Debug symbols, what boto3 knows of Amazon's four hundred services, and tests are half of what pip installs. Compiled
modules stay: without them each start, also of a command, would take three times as long.
"""

import shutil
import subprocess
import sys
from pathlib import Path

SERVICES = {"s3", "sts", "sso", "sso-oidc", "signin"}
"""S3, and where boto3 may get credentials from."""


def main(environment: Path) -> None:
    """Trim the virtual environment in this directory."""
    [packages] = environment.glob("lib/python3*/site-packages")
    services = [path for path in (packages / "botocore" / "data").iterdir() if path.is_dir()]
    unread = [path for path in services if path.name not in SERVICES]
    unread += [*packages.glob("*/tests"), *packages.glob("*/testing")]
    unread += [path for path in (environment / "bin").iterdir() if not path.is_symlink()]  # a link is python itself
    for path in unread:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    subprocess.run(["strip", "--strip-debug", *packages.rglob("*.so")], check=True)  # noqa: S607


if __name__ == "__main__":
    main(Path(sys.argv[1]))
