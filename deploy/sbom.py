"""Adds to a list of Python packages (CycloneDX, JSON) what else is in the image: python3 sbom.py FILE.

Debian's packages, as dpkg knows them, and the node's programs, as they say themselves. The standard library only: it
runs in the image, before anything of the service does.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")
PROGRAMS = tuple(Path("/usr/local/bin", name) for name in ("jcli", "jormungandr"))
PROGRAM_SECONDS = 60.0

Component = dict[str, Any]


def debian_packages(status: str) -> Iterator[Component]:
    """The packages that are installed by a dpkg status file."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?arch={fields['Architecture']}"
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def program(path: Path) -> Component:
    """A program of the node, with the version that it says and the hash that it has."""
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True, timeout=PROGRAM_SECONDS)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "application",
        "bom-ref": path.name,
        "name": path.name,
        "version": said.stdout.removeprefix(path.name).strip(),
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def main(file: Path) -> None:
    """Add to what stands in the file."""
    document = json.loads(file.read_text())
    document["components"] += [*debian_packages(DPKG_STATUS.read_text()), *map(program, PROGRAMS)]
    file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
