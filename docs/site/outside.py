"""Pages that stand elsewhere in the repository, and links that lead out of ``docs/``."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

# Page of the site: the file that it shows.
PAGES = {
    "index.md": "README.md",
    "tour.md": "docs/tour.ipynb",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "findings.md": "findings/README.md",
}
_SHOWN = {file: page for page, file in PAGES.items()}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^()\s#]+)(#[^()\s]*)?(?=\))")
_FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_STYLE, _TABLE = re.compile(r"<style.*?</style>\s*", re.DOTALL), re.compile(r"<table[^>]*>")
# Assets: what a browser asks for by itself as soon as it opens a page.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc\s*=\s*[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|<link\b(?![^>]*rel=[\"']?(?:canonical|alternate))[^>]*?\bhref\s*=\s*[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)",
    re.IGNORECASE,
)


def page_of(path: str) -> str:
    """Where a file of the repository is in the site: a page, or a copy of the file.

    Args:
        path: below the repository's root, with forward slashes.
    """
    if path in _SHOWN:
        return _SHOWN[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def relinked(markdown: str, page: str, root: Path) -> str:
    """The text of a page with links between the repository's files turned into the site's.

    A link to what is not there stays as it is, so that the strict build names it.
    """
    origin = posixpath.dirname(PAGES.get(page, f"docs/{page}"))

    def turned(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(origin, match[1]))
        if not (root / target).is_file():
            return match[0]
        return posixpath.relpath(page_of(target), posixpath.dirname(page) or ".") + (match[2] or "")

    return "".join(
        part if fenced else _LINK.sub(turned, part) for fenced, part in _fences(markdown)
    )


def carried(markdown: str, page: str, root: Path) -> set[str]:
    """Files outside ``docs/`` that a page links to and that are no pages: the site has copies."""
    origin = posixpath.dirname(PAGES.get(page, f"docs/{page}"))
    text = "".join(part for fenced, part in _fences(markdown) if not fenced)
    targets = {posixpath.normpath(posixpath.join(origin, m[1])) for m in _LINK.finditer(text)}
    return {
        target
        for target in targets
        if (root / target).is_file() and page_of(target).startswith("repository/")
    }


def notebook(path: Path) -> str:
    """A notebook as Markdown, with the results that it holds; tables in the page's own style."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", [])})
            if "text/html" in data:
                html = _STYLE.sub("", "".join(data["text/html"]))
                parts.append(_TABLE.sub("<table>", html).strip())
            else:
                parts.append("```text\n{}\n```".format("".join(data["text/plain"]).rstrip("\n")))
    return "\n\n".join(parts) + "\n"


def fetched(html: str) -> list[str]:
    """Addresses elsewhere that a browser would ask for when it opens a page or a style sheet."""
    return [next(part for part in match.groups() if part) for match in _FETCHED.finditer(html)]


def _fences(markdown: str) -> Iterator[tuple[bool, str]]:
    """The text in pieces, and whether each is a fenced block."""
    end = 0
    for match in _FENCED.finditer(markdown):
        yield False, markdown[end : match.start()]
        yield True, match[0]
        end = match.end()
    yield False, markdown[end:]
