"""What is built and from what: image and Dockerfile in step, the bill of materials, licences, the audit of locks."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
LONG_AGO, JUST_NOW = "2026-01-01T00:00:00Z", "2026-11-20T00:00:00Z"


def module(name: str) -> ModuleType:
    return import_module(name)


# --- the image, by Docker and without ------------------------------------------------------------------


def instructions(stage: int = -1) -> Iterator[tuple[str, str]]:
    """Give the instructions of a stage of the Dockerfile, by default the last, each on one line."""
    text = re.sub(r"\\\n\s*", "", (REPOSITORY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    begins = [index for index, line in enumerate(lines) if line.startswith("FROM ")]
    first = begins[stage]
    last = next((index for index in begins if index > first), len(lines))
    for line in lines[first:last]:
        name, _, rest = line.partition(" ")
        yield name, rest


def said(name: str) -> list[str]:
    return [rest for one, rest in instructions() if one == name]


def test_docker_and_our_builder_make_an_image_that_runs_alike() -> None:
    image = module("images.operator_image").OPERATOR
    environment = dict(pair.split("=", 1) for rest in said("ENV") for pair in rest.split(" "))

    assert environment == dict(image.environment)
    assert said("USER") == [image.user]
    assert said("WORKDIR") == [image.folder]
    assert json.loads(said("ENTRYPOINT")[0]) == list(image.entrypoint)
    assert json.loads(said("CMD")[0]) == list(image.args)


def test_docker_and_our_builder_put_the_same_into_the_same_folders() -> None:
    builder, debian = module("images.operator_image"), module("images.debian")
    packages = next(rest for name, rest in instructions(0) if name == "RUN")
    copied = {rest.split(" ")[-1] for rest in said("COPY")}

    assert re.findall(r"--no-install-recommends (.*?) +&&", packages)[0].split() == list(debian.PACKAGES)
    assert copied == {f"/{builder.APPLICATION}", f"/{module('images.sbom').PLACE}"}
    text = (REPOSITORY / "Dockerfile").read_text()
    assert [f"-name {name} -prune" for name in builder.UNUSED if f"-name {name} -prune" not in text] == []
    assert f"debian:{debian.SUITE}-slim" in text


def test_docker_and_our_builder_label_the_image_alike() -> None:
    labels = module("images.operator_image").labels()
    written = dict(re.findall(r'([a-z.]+)="?((?:[^" ]| (?!org\.))*)"?', said("LABEL")[0]))
    by_argument = {"$VERSION", "$REVISION", "$SOURCE"}

    assert written.keys() == labels.keys()
    fixed = {name: value for name, value in written.items() if value not in by_argument}
    assert fixed == {name: labels[name] for name in fixed}
    assert {value for value in written.values() if value.startswith("$")} == by_argument
    assert f"ARG VERSION={labels['org.opencontainers.image.version']}" in (REPOSITORY / "Dockerfile").read_text()


def test_the_commands_of_the_image_start_python_and_no_shell(tmp_path: Path) -> None:
    information = tmp_path / "homeostat-1.dist-info"
    information.mkdir()
    (information / "entry_points.txt").write_text("[console_scripts]\nhomeostat = homeostat.__main__:main\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "homeostat").write_text("#!/somebody/elses/python\n")

    names = module("images.scripts").write_commands(tmp_path)

    assert names == ["homeostat", "kubectl-homeostat"]
    for name in names:
        script = tmp_path / "bin" / name
        assert script.read_text().startswith("#!/usr/bin/python3\n")
        assert script.stat().st_mode & 0o111
        done = subprocess.run([sys.executable, str(script), "version"], capture_output=True, text=True, check=True)
        assert done.stdout.strip()


# --- the bill of materials ------------------------------------------------------------------------------

REPORT = {
    "install": [
        {
            "metadata": {"name": "Psycopg_Binary", "version": "3.3.9", "license_expression": "LGPL-3.0-only"},
            "download_info": {"url": "file:///x", "archive_info": {"hashes": {"sha256": "ab" * 32}}},
        },
        {"metadata": {"name": "iso8601", "version": "2.1.0", "license": "MIT"}, "download_info": {"url": "x"}},
    ]
}
LISTED = "libssl3\t3.0.20-1~deb12u2\tamd64\topenssl\t3.0.20-1~deb12u2\nmawk\t1:2\tamd64\tmawk\t1:2\n"


def bill(root: Path) -> dict[str, Any]:
    sbom = module("images.sbom")
    made: dict[str, Any] = sbom.bill("1.0.0", sbom.python_components(REPORT), sbom.debian_components(LISTED, root))
    return made


def a_root(tmp_path: Path) -> Path:
    for package, text in (
        ("libssl3", "Format: x\n\nFiles: *\nLicense: Apache-2.0\n\nFiles: b\nLicense: Artistic or GPL-1+\n"),
        ("mawk", "On Debian the text is in /usr/share/common-licenses/GPL-2.\n"),
    ):
        folder = tmp_path / "usr/share/doc" / package
        folder.mkdir(parents=True)
        (folder / "copyright").write_text(text)
    return tmp_path


def test_the_bill_of_materials_is_cyclonedx_1_6(tmp_path: Path) -> None:
    """The rules of the format that it uses; the schema itself is not ours to ship."""
    made = bill(a_root(tmp_path))

    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["serialNumber"])
    references = [made["metadata"]["component"]["bom-ref"], *(part["bom-ref"] for part in made["components"])]
    assert len(references) == len(set(references))
    assert {made["dependencies"][0]["ref"], *made["dependencies"][0]["dependsOn"]} == set(references)
    for part in made["components"]:
        assert {"type", "name", "version", "purl", "bom-ref"} <= set(part)
        assert part["type"] == "library"
        assert part["purl"].startswith(("pkg:pypi/", "pkg:deb/debian/"))
        assert all(re.fullmatch("[0-9a-f]{64}", one["content"]) for one in part.get("hashes", ()))
        assert all(set(one) in ({"license"}, {"expression"}) for one in part.get("licenses", ()))


def test_the_bill_says_which_file_was_installed_and_under_which_licence(tmp_path: Path) -> None:
    parts = {part["name"]: part for part in bill(a_root(tmp_path))["components"]}

    assert parts["psycopg-binary"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert parts["psycopg-binary"]["licenses"] == [{"expression": "LGPL-3.0-only"}]
    assert parts["iso8601"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert [one["license"]["name"] for one in parts["libssl3"]["licenses"]] == ["Apache-2.0", "Artistic or GPL-1+"]
    assert parts["mawk"]["licenses"] == [{"license": {"name": "GPL-2"}}]
    assert "upstream=openssl%40" in parts["libssl3"]["purl"]


def test_the_bill_is_the_same_for_the_same_content_and_names_no_place_that_it_was_had_from(tmp_path: Path) -> None:
    root = a_root(tmp_path)

    assert bill(root) == bill(root)
    assert "file:" not in json.dumps(bill(root))


# --- licences -------------------------------------------------------------------------------------------


def test_the_list_of_licences_is_that_of_what_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "hack/gen_licences.py", "--check"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("expression", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "Proprietary"])
def test_a_licence_that_is_not_on_the_list_fails_with_the_packages_name(expression: str) -> None:
    licences = module("gen_licences")

    with pytest.raises(licences.UnknownLicence, match="leftpad"):
        licences.check("leftpad", expression)


def test_of_alternative_licences_one_is_enough() -> None:
    module("gen_licences").check("leftpad", "GPL-3.0-only OR MIT")


# --- the audit of the locks -----------------------------------------------------------------------------


def file(version: str, digest: str = "a" * 64, uploaded: str = LONG_AGO, **more: Any) -> dict[str, Any]:
    name = f"left_pad-{version}-py3-none-any.whl"
    return {"filename": name, "hashes": {"sha256": digest}, "upload-time": uploaded, "yanked": False, **more}


def complaints(*files: dict[str, Any], hashes: str = "a" * 64) -> list[str]:
    audit = module("audit")
    (pin,) = audit.pins(f"left-pad==1.0.2 \\\n    --hash=sha256:{hashes}\n")
    return list(audit.problems(pin, {"files": list(files)}, NOW))


def test_a_locked_version_that_is_there_and_old_enough_is_fine() -> None:
    assert complaints(file("1.0.2"), file("1.0.3")) == []


def test_what_is_wrong_with_a_locked_version_is_said() -> None:
    assert complaints(file("1.0.3")) == ["the index has no file of this version"]
    assert complaints(file("1.0.2", yanked="broken")) == ["it was withdrawn: broken"]
    assert complaints(file("1.0.2", uploaded=JUST_NOW)) == ["it is out for 1 days only: wait until others have looked"]
    (stranger,) = complaints(file("1.0.2", digest="b" * 64))
    assert stranger == "1 of its 1 locked hashes are of no file that the index has"


def test_a_newer_patch_is_named_once_it_is_old_enough() -> None:
    audit = module("audit")
    (pin,) = audit.pins("left-pad==1.0.2 --hash=sha256:" + "a" * 64)

    def newest(*files: dict[str, Any]) -> str:
        return str(audit.newer_patch(pin, {"files": list(files)}, NOW, timedelta(days=7)))

    assert newest(file("1.0.2"), file("1.0.9"), file("1.0.10"), file("1.1.0")) == "1.0.10"
    assert newest(file("1.0.2"), file("1.0.3", uploaded=JUST_NOW), file("1.0.4", yanked=True)) == ""


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    pins = module("audit").pins((REPOSITORY / lock).read_text())

    assert len(pins) > 20
    assert [pin.name for pin in pins if not pin.hashes] == []


# --- workflows ------------------------------------------------------------------------------------------


def steps() -> Iterator[tuple[str, str]]:
    for workflow in sorted((REPOSITORY / ".github" / "workflows").glob("*.yml")):
        for used in re.findall(r"^\s*(?:- )?uses: (\S+)", workflow.read_text(), re.MULTILINE):
            yield workflow.name, used


def test_every_action_is_pinned_to_a_commit_but_those_that_say_why_not() -> None:
    unpinned = {used for _, used in steps() if not re.search(r"@[0-9a-f]{40}$", used)}

    assert unpinned == {"pypa/gh-action-pypi-publish@v1.13.0"}
    assert len(list(steps())) > 20


def test_an_action_is_used_at_one_commit_in_all_workflows() -> None:
    commits: dict[str, set[str]] = {}
    for _, used in steps():
        name, _, commit = used.partition("@")
        commits.setdefault("/".join(name.split("/")[:2]), set()).add(commit)

    assert {name: found for name, found in commits.items() if len(found) > 1} == {}


def test_the_stage_that_upgrades_from_an_earlier_commit_has_earlier_commits() -> None:
    """A checkout has one commit unless told otherwise: the upgrade would be one to the same chart."""
    depths = {}
    for path in (REPOSITORY / ".github" / "workflows").glob("*.yml"):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            commands = [str(step.get("run", "")) for step in job["steps"]]
            if any(re.search(r"\.ci/run( helm)?( #.*)?$", command) for command in commands):
                depths[path.stem, name] = [step["with"].get("fetch-depth") for step in job["steps"]
                                           if str(step.get("uses")).startswith("actions/checkout@")]  # fmt: skip

    assert depths == {("ci", "chart"): [0], ("release", "test"): [0]}


def test_what_a_release_offers_is_summed_up_and_the_sums_are_signed() -> None:
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    commands = "\n".join(str(step.get("run", "")) for step in jobs["release"]["steps"])

    assert jobs["release"]["permissions"] == {"contents": "write", "id-token": "write"}
    assert set(jobs["release"]["needs"]) == set(jobs) - {"release", "test"}
    assert commands.index("sha256sum -- *") < commands.index("cosign sign-blob") < commands.index("gh release create")


def test_each_module_of_go_is_proposed_updates() -> None:
    updates = yaml.safe_load((REPOSITORY / ".github" / "dependabot.yml").read_text())["updates"]
    [folders] = [one["directories"] for one in updates if one["package-ecosystem"] == "gomod"]
    modules = [path.parent for path in REPOSITORY.glob("*/**/go.mod") if ".venv" not in path.parts]

    assert modules
    assert [one for one in modules if not any(one in REPOSITORY.glob(folder[1:]) for folder in folders)] == []


def test_no_workflow_may_write_unless_a_job_says_so() -> None:
    for workflow in (REPOSITORY / ".github" / "workflows").glob("*.yml"):
        granted = yaml.safe_load(workflow.read_text())["permissions"]

        assert granted in ({"contents": "read"}, "read-all"), workflow.name
