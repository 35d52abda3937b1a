#!/usr/bin/env python3
"""Write THIRD-PARTY.md, the licences of all that the image holds: hack/gen_licences.py [--check].

Python packages: those of requirements.lock, by the metadata that is installed in .venv. Debian packages: those of the
root that hack/build-image has made, by their copyright files; without such a root, what stands in the file stays.
A Python package with a licence that is not on the list fails, and so does one whose licence is not known.
"""

import re
import sys
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from generated import ROOT, Generated, main
from images.debian import existing_root
from images.sbom import licences_of, listed_packages

TARGET, LOCK = ROOT / "THIRD-PARTY.md", ROOT / "requirements.lock"
ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "LGPL-3.0-only", "MIT", "MPL-2.0",
    "PSF-2.0", "Zlib",
})  # fmt: skip
"""Licences under which we may pass on what we use unchanged, beside our own code under Apache-2.0.

LGPL and MPL ask that their own files can be replaced and had as source: they are separate files of the image.
"""
WORDS = {
    "apache 2.0": "Apache-2.0", "apache-2.0": "Apache-2.0", "apache software license": "Apache-2.0",
    "mit": "MIT", "mit license": "MIT", "the mit license (mit)": "MIT", "psf-2.0": "PSF-2.0", "mpl-2.0": "MPL-2.0",
    "bsd-3-clause": "BSD-3-Clause", "3-clause bsd license": "BSD-3-Clause", "isc license": "ISC",
    "isc license (iscl)": "ISC",
}  # fmt: skip
"""What packages without a licence expression write, and what it means."""
READ = {
    "colorama": "BSD-3-Clause", "cronsim": "BSD-3-Clause", "google-re2": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause", "promql-parser": "Apache-2.0",
}  # fmt: skip
"""Packages whose metadata says too little, and what their licence files say: read by a human."""
_NAME = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_OPERATORS = re.compile(r"\s+(?:AND|OR|WITH)\s+|[()]")
DEBIAN_BEGINS = "## Debian packages\n"


class UnknownLicence(Exception):
    """The licence of a package is not known, or not allowed."""


def licence(name: str, told: PackageMetadata) -> str:
    """Give the licence of a package as an SPDX expression."""
    if told.get("License-Expression"):
        return str(told["License-Expression"])
    if name in READ:
        return READ[name]
    words = [str(told.get("License") or "").strip().splitlines()[:1]]
    candidates = [line for lines in words for line in lines]
    candidates += [one.split("::")[-1].strip() for one in told.get_all("Classifier") or () if one.startswith("License")]
    found = next((WORDS[word.lower()] for word in candidates if word.lower() in WORDS), None)
    if found is None:
        raise UnknownLicence(f"{name}: which licence is {candidates}? Read it, and say so in READ")
    return found


def check(name: str, expression: str) -> None:
    """Refuse a licence that is not on the list. Of an alternative, one is enough."""
    parts = [part for part in _OPERATORS.split(expression) if part]
    strange = [part for part in parts if part not in ALLOWED]
    if strange and not (" OR " in expression and " AND " not in expression and len(strange) < len(parts)):
        raise UnknownLicence(f"{name}: {', '.join(strange)} is not on the list of licences that we pass on")


def python_rows() -> list[str]:
    """Give a row for each locked package."""
    rows = []
    for name in sorted(set(_NAME.findall(LOCK.read_text())), key=str.lower):
        try:
            told = metadata(name)
        except PackageNotFoundError as error:
            raise UnknownLicence(f"{name}: it is not installed; make .venv what the lock says") from error
        expression = licence(name, told)
        check(name, expression)
        rows.append(f"| {told['Name']} | {expression} |")
    return rows


def debian_rows(root: Path) -> list[str]:
    """Give a row for each Debian package of a root."""
    rows = []
    for line in listed_packages(root).splitlines():
        name, _, _, source, _ = line.split("\t")
        named = licences_of(name, root)
        rows.append(f"| {name} | {source} | {', '.join(named) or 'see its copyright file'} |")
    return rows


def render() -> str:
    """Write the file."""
    root = existing_root()
    lines = [
        "# What others have made, and under which licences",
        "",
        "homeostat itself is under [Apache-2.0](LICENSE). Its image holds the packages below, unchanged.",
        "This file is written by `hack/gen_licences.py`; a test fails when it is not what is installed,",
        "and when a Python package has a licence that is not on the list in that program.",
        "The full texts are in the image: `/opt/homeostat/*.dist-info` and `/usr/share/doc/*/copyright`.",
        "Versions and hashes are in the bill of materials, `/usr/share/sbom/homeostat.cdx.json`.",
        "",
        "## Python packages",
        "",
        "| package | licence |",
        "|---|---|",
        *python_rows(),
        "",
    ]
    return "\n".join(lines) + "\n" + (_debian(root) if root else _standing())


def _debian(root: Path) -> str:
    lines = [
        DEBIAN_BEGINS.rstrip(),
        "",
        "Of Debian 12, main. The source of each is had from Debian: `apt-get source PACKAGE`.",
        "The licences are those that the copyright file of the package names, of whichever of its files.",
        "",
        "| package | source | licences named |",
        "|---|---|---|",
        *debian_rows(root),
    ]
    return "\n".join(lines) + "\n"


def _standing() -> str:
    """Give the part on Debian as it stands."""
    text = TARGET.read_text() if TARGET.exists() else ""
    return text[text.index(DEBIAN_BEGINS) :] if DEBIAN_BEGINS in text else ""


def generated() -> Generated:
    """Give the one file. Raises UnknownLicence."""
    return Generated({TARGET: render()})


if __name__ == "__main__":
    try:
        sys.exit(main("hack/gen_licences.py", __doc__ or "", generated()))
    except UnknownLicence as error:
        sys.exit(f"gen_licences: {error}")
