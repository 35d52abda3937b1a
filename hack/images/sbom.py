"""The bill of materials of an image, as CycloneDX 1.6: sbom.py PIP-REPORT VERSION prints it.

Python packages come from the report of pip, with the hash of the very file that was installed, which pip checked by
the lock. Debian packages come from dpkg, with the licences that their copyright files name.

It has no time and no random number in it: equal content gives equal bytes.

Used by hack/build-image and by the Dockerfile, so it needs the standard library alone.
"""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

PLACE = "usr/share/sbom/homeostat.cdx.json"
"""Where the image has it."""
FORMAT = r"${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
_SHORT = re.compile(r"^License:[ \t]*([^\n]+)$", re.MULTILINE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[0-9.]*[0-9])?)")
Component = dict[str, Any]


def bill(version: str, python: Iterable[Component], debian: Iterable[Component]) -> dict[str, Any]:
    """Put the bill together."""
    parts = sorted([*python, *debian], key=lambda part: str(part["bom-ref"]))
    root = f"pkg:pypi/homeostat@{version}"
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": root,
                "name": "homeostat",
                "version": version,
                "purl": root,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": parts,
        "dependencies": [{"ref": root, "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {**content, "serialNumber": f"urn:uuid:{number}"}


def complete(report: Path, folder: Path) -> None:
    """Add to a report of pip the licences that the packages themselves name: an older pip leaves them out."""
    found = json.loads(report.read_text())
    named = {}
    for file in folder.glob("*.dist-info/METADATA"):
        metadata = HeaderParser().parsestr(file.read_text(errors="replace"))
        classified = [
            one.split("::")[-1].strip() for one in metadata.get_all("Classifier", []) if one.startswith("Lic")
        ]
        named[metadata["Name"]] = (metadata["License-Expression"], metadata["License"] or next(iter(classified), None))
    for entry in found["install"]:
        expression, told = named[entry["metadata"]["name"]]
        entry["metadata"] |= {"license_expression": expression, "license": told}
    report.write_text(json.dumps(found))


def python_components(report: Mapping[str, Any]) -> list[Component]:
    """Give what pip installed, by its own report."""
    return [_python(entry["metadata"], entry["download_info"]) for entry in report["install"]]


def _python(metadata: Mapping[str, Any], came_from: Mapping[str, Any]) -> Component:
    name, version = re.sub(r"[-_.]+", "-", metadata["name"]).lower(), metadata["version"]
    purl = f"pkg:pypi/{name}@{version}"
    hashes = (came_from.get("archive_info") or {}).get("hashes") or {}
    part: Component = {
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": hashes["sha256"]}] if "sha256" in hashes else [],
    }  # fmt: skip
    expression = metadata.get("license_expression")
    if expression:
        part["licenses"] = [{"expression": expression}]
    elif metadata.get("license"):
        part["licenses"] = [{"license": {"name": metadata["license"].splitlines()[0][:200]}}]
    return part


def debian_components(listed: str, root: Path) -> list[Component]:
    """Give the packages of a root, as dpkg lists them (`FORMAT`)."""
    return [_debian(line.split("\t"), root) for line in listed.splitlines()]


def _debian(fields: list[str], root: Path) -> Component:
    name, version, architecture, source, source_version = fields
    where = (
        f"?arch={architecture}&distro=debian-12&upstream={quote(source, safe='')}%40{quote(source_version, safe='')}"
    )
    purl = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}{where}"
    licences = [{"license": {"name": one}} for one in licences_of(name, root)]
    part = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return part | ({"licenses": licences} if licences else {})


def licences_of(package: str, root: Path) -> list[str]:
    """Give the licences that a package's copyright file names: in its fields, else by the texts that it refers to."""
    file = root / "usr/share/doc" / package / "copyright"
    if not file.is_file():
        return []
    text = file.read_text(errors="replace")
    named = {short.strip() for short in _SHORT.findall(text)} or set(_COMMON.findall(text))
    return sorted(named)


def listed_packages(root: Path) -> str:
    """Ask dpkg which packages a root has."""
    command = ["dpkg-query", f"--admindir={root / 'var/lib/dpkg'}", "--show", f"--showformat={FORMAT}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def text(report: Path, version: str, root: Path) -> str:
    """Write the bill of an image with these Python packages on that root."""
    found = json.loads(report.read_text())
    whole = bill(version, python_components(found), debian_components(listed_packages(root), root))
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__" and sys.argv[1] == "--complete":
    complete(Path(sys.argv[2]), Path(sys.argv[3]))
elif __name__ == "__main__":
    sys.stdout.write(text(Path(sys.argv[1]), sys.argv[2], Path("/")))
