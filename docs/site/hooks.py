"""What the site needs beyond its Markdown: see ``mkdocs.yml``.

Pages that are made when the site is built (the reference, the house, files that stand elsewhere),
links that lead out of ``docs/``, and a check that no page fetches anything.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import house
import outside
import reference
import tree
from calprune.registry import GROUPS

ROOT = Path(__file__).parent.parent.parent
_SHORT = re.compile(r"<td(?=(?: style=[^>]*)?>[^<]{1,16}</td>)")
DRAWING, LISTING = "<!-- the house -->", "<!-- its rooms -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that have no file in ``docs/``, and give them their places."""
    try:
        made = reference.pages(tree.read(ROOT / "calprune"), GROUPS)
    except LookupError as error:
        raise PluginError(f"the reference: {error}") from error
    for name, (_, text) in made.items():
        files.append(File.generated(config, f"api/{name}.md", content=text))
    for page, path in outside.PAGES.items():
        if path.endswith(".ipynb"):
            files.append(File.generated(config, page, content=outside.notebook(ROOT / path)))
        else:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    linked = [
        outside.carried(file.content_string, file.src_uri, ROOT)
        for file in files.documentation_pages()
    ]
    for path in sorted(set[str]().union(*linked)):
        copy = outside.page_of(path)
        files.append(File.generated(config, copy, abs_src_path=str(ROOT / path)))
    folders: dict[str, list[Any]] = {
        "api/": [{title: f"api/{name}.md"} for name, (title, _) in made.items()],
        "decisions/": sorted(f.src_uri for f in files if f.src_uri.startswith("decisions/")),
    }
    config.nav = [_filled(entry, folders) for entry in config.nav or []]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links into the site's, and draw the house where a page asks for it."""
    markdown = outside.relinked(markdown, page.file.src_uri, ROOT)
    if DRAWING not in markdown:
        return markdown
    modules = tree.read(ROOT / "calprune")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    shelves = {
        "calprune." + folder.replace("/", "."): f"api/{group}.md"
        for group, folder in GROUPS.items()
    }
    try:
        picture = house.drawing(modules, contracts, shelves)
    except LookupError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    rooms = house.listing(modules, contracts, shelves)
    return markdown.replace(DRAWING, picture).replace(LISTING, rooms)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep numbers and names in tables on one line each: a wide table is scrolled instead."""
    return _SHORT.sub('<td class="short"', html)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that fetches anything when it is opened."""
    found = outside.fetched(output)
    if found:
        raise PluginError(f"{page.file.src_uri} fetches {found[0]}: the site needs no network")
    return output


def _filled(entry: Any, folders: dict[str, list[Any]]) -> Any:
    """An entry of the navigation; one that is a folder becomes the folder's pages."""
    if isinstance(entry, dict):
        return {title: _filled(inside, folders) for title, inside in entry.items()}
    if isinstance(entry, list):
        return [_filled(inside, folders) for inside in entry]
    return folders.get(entry, entry)
