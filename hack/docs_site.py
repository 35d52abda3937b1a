"""What mkdocs is told of this repository: hooks of mkdocs.yml.

Pages link to files as they lie in the repository, so that links work in an editor as well. What is linked and is not
in docs/ (the README, examples) comes to the site under repository/, and all links are written anew to where things are.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = "repository"
FIRST = {"README", "index"}
TOKEN = re.compile(
    r"^```.*?^```$|^ {2,3}(?=[-*] )|`[^`\n]+`|\[([^\[\]]+)\]\((?!\w+:)([^)#\s]+)((?:#[^)\s]*)?)\)",
    re.MULTILINE | re.DOTALL,
)
"""A block of code, what a list within a list is indented by, code, or a link to a file. What looks like a link within
code is none."""
NESTED = "    "
"""What mkdocs wants a list within a list to be indented by."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the folders that the navigation names."""
    config.nav = [*_spread(config.nav or [])]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring what pages link to, and what that links to."""
    waiting = [page.src_uri for page in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        uri = waiting.pop()
        for linked in (in_site(path) for path in _linked(in_repository(uri))):
            if linked in seen or not linked.startswith(f"{OUTSIDE}/"):
                continue
            seen.add(linked)
            waiting.append(linked)
            source = str(ROOT / in_repository(linked))
            files.append(File.generated(config, linked, abs_src_path=source, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Write the links of a page as they are in the site."""
    return rewritten(markdown, page.file.src_uri)


def rewritten(markdown: str, uri: str) -> str:
    """Give a page with its links as they are in the site, and its lists as mkdocs reads them; code stays as it is."""
    folder = posixpath.dirname(in_repository(uri))

    def link(found: re.Match[str]) -> str:
        if found[2] is None:
            return NESTED if found[0].isspace() else found[0]
        path = _file(posixpath.normpath(posixpath.join(folder, found[2])))
        if path.endswith("/"):
            return found[1]
        return f"[{found[1]}]({posixpath.relpath(in_site(path), posixpath.dirname(uri) or '.')}{found[3]})"

    return TOKEN.sub(link, markdown)


def in_site(path: str) -> str:
    """Give where a file of the repository is in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{OUTSIDE}/{path}"


def in_repository(uri: str) -> str:
    """Give which file of the repository is there in the site."""
    return uri.removeprefix(f"{OUTSIDE}/") if uri.startswith(f"{OUTSIDE}/") else f"docs/{uri}"


def _file(path: str) -> str:
    """Give the page of a folder; a folder without one stays a folder, which a site cannot show."""
    if not (ROOT / path).is_dir():
        return path
    return f"{path}/README.md" if (ROOT / path / "README.md").is_file() else f"{path}/"


def _linked(path: str) -> Iterator[str]:
    """Give the files of the repository that a page links to."""
    if not path.endswith(".md"):
        return
    for found in TOKEN.finditer((ROOT / path).read_text(encoding="utf-8")):
        linked = _file(posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))) if found[2] else ""
        if linked and (ROOT / linked).is_file():
            yield linked


def _spread(items: list[Any]) -> Iterator[Any]:
    """Give the items of a navigation, with every page of a folder in place of a folder."""
    for item in items:
        if isinstance(item, str) and item.endswith("/"):
            pages = sorted((ROOT / "docs" / item).glob("*.md"), key=lambda page: (page.stem not in FIRST, page.name))
            yield from (f"{item}{page.name}" for page in pages)
        elif isinstance(item, dict):
            yield {title: [*_spread(inner)] if isinstance(inner, list) else inner for title, inner in item.items()}
        else:
            yield item
