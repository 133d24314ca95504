"""Elements of HTML. Text is escaped here and nowhere else; only ``Html`` is taken as it is."""

from __future__ import annotations

from html import escape

from calprune.terminal import printable

_VOID = frozenset({"br", "col", "img", "meta"})


class Html(str):
    """Markup of ours. Everything else that becomes part of a page is text, and gets escaped."""

    __slots__ = ()


Child = str | None
"""``Html`` is kept, other text is escaped, None is nothing."""


def text(value: str) -> Html:
    """Text as it stands: nothing in it is markup, and nothing in it is invisible."""
    return value if isinstance(value, Html) else Html(escape(printable(value), quote=True))


def join(*children: Child, by: str = "") -> Html:
    """Children one after another."""
    return Html(text(by).join(text(child) for child in children if child is not None))


def element(name: str, /, *children: Child, **attributes: str | None) -> Html:
    """``<name attribute="…">children</name>``.

    In names of attributes ``_`` is ``-`` and one at the end falls away (``class_``). An attribute
    that is None is not there, an empty one has no value.
    """
    opening = name
    for key, value in attributes.items():
        if value is not None:
            named = key.removesuffix("_").replace("_", "-")
            opening += f' {named}="{text(value)}"' if value else f" {named}"
    if name in _VOID:
        return Html(f"<{opening}>")
    return Html(f"<{opening}>{join(*children)}</{name}>")


def items(*children: Child, **attributes: str | None) -> Html:
    """An unordered list."""
    found = (element("li", child) for child in children if child is not None)
    return element("ul", *found, **attributes)
