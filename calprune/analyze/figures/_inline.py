"""A figure as an SVG element that may stand in an HTML page beside others."""

from __future__ import annotations

import hashlib
import re
from xml.etree import ElementTree

from calprune.analyze.figures._pages import Page, saved

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{LINK}}}href"


def inline(page: Page) -> str:
    """The page as text; ids begin with a digest of what is drawn.

    Without declarations, metadata, comments and rules that would reach beyond the element; with a
    title, and a width that follows its surroundings up to the size that was drawn.
    """
    drawn = saved(page.figure, "svg")
    digest = hashlib.sha256(drawn).hexdigest()[:8]
    root = ElementTree.fromstring(drawn)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    linked = {ref for e in root.iter() for ref in _references(e)}
    for element in root.iter():
        _renamed(element, f"f{digest}-", linked)
    width = root.attrib.pop("width").removesuffix("pt")
    root.attrib.pop("height")
    root.attrib |= {
        "role": "img",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
        "style": f"width:100%;max-width:{float(width):.0f}pt;height:auto",
    }
    title = ElementTree.Element(f"{{{SVG}}}title")
    title.text = page.heading
    root.insert(0, title)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r">\s*\n\s*<", "><", text)


def _references(element: ElementTree.Element) -> list[str]:
    """Ids that an element draws or is cut by."""
    found = [v for k, v in element.attrib.items() if k == HREF and v.startswith("#")]
    cut = [re.findall(r"url\((#[^)]+)\)", value) for value in element.attrib.values()]
    return [ref[1:] for ref in found + [one for refs in cut for one in refs]]


def _renamed(element: ElementTree.Element, prefix: str, linked: set[str]) -> None:
    """Prefix the id if anything refers to it, drop it if nothing does, and follow references."""
    own = element.attrib.pop("id", None)
    if own in linked:
        element.set("id", prefix + str(own))
    for name, value in element.attrib.items():
        if name == HREF and value.startswith("#"):
            element.set(name, f"#{prefix}{value[1:]}")
        elif "url(#" in value:
            element.set(name, value.replace("url(#", f"url(#{prefix}"))
