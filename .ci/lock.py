"""Writes .ci/requirements.lock: constraints.txt with the SHA-256 of every file of each version.

    python .ci/lock.py            # asks the package index; then in any environment
    pip install --require-hashes --no-deps --requirement .ci/requirements.lock

torch brings its CUDA libraries on Linux; their versions are those that are installed here.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from importlib.metadata import distributions
from pathlib import Path

from pip._internal.models.index import PyPI

FOLDER = Path(__file__).parent
INDEX = os.environ.get("INDEX", PyPI.simple_url)
CUDA = re.compile(r"nvidia-|triton$|cuda-")
LINUX = 'sys_platform == "linux" and platform_machine == "x86_64"'


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, tuple[str, str]]:
    """Name -> version and marker."""
    found = {}
    for line in (FOLDER.parent / "constraints.txt").read_text().splitlines():
        line, _, marker = (part.strip() for part in line.split("#")[0].partition(";"))
        if line:
            name, version = line.split("==")
            found[plain(name)] = (version, marker)
    for installed in distributions():
        name = plain(installed.name)
        if CUDA.match(name) and name not in found:
            found[name] = (installed.version, LINUX)
    return dict(sorted(found.items()))


def digests(name: str, version: str) -> list[str]:
    """SHA-256 of all files of that version. Raises SystemExit if the index has none."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"{INDEX}/{name}/", headers=accept)) as page:
        files = json.load(page)["files"]
    spelled = "[-_.]+".join(map(re.escape, name.split("-")))
    start = re.compile(rf"{spelled}-{re.escape(version)}[-.]", re.IGNORECASE)
    found = {file["hashes"]["sha256"] for file in files if start.match(file["filename"])}
    if not found:
        sys.exit(f"{name}=={version}: {INDEX} has no such file")
    return sorted(found)


def main() -> None:
    lines = ["# Written by .ci/lock.py from constraints.txt: for pip install --require-hashes."]
    for name, (version, marker) in pins().items():
        lines.append(f"{name}=={version}{f' ; {marker}' if marker else ''} \\")
        hashes = [f"    --hash=sha256:{digest}" for digest in digests(name, version)]
        lines.append(" \\\n".join(hashes))
    (FOLDER / "requirements.lock").write_text("\n".join(lines) + "\n")
    print(f"{len(pins())} packages")


if __name__ == "__main__":
    main()
