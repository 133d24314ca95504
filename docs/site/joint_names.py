"""Docstrings that describe several attributes on one line: ``low, high: of the interval``.

The parser takes what follows the first space for a type. A space that does not break is none.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_NAMES = re.compile(r"^( +\w+(?:, \w+)+):", re.MULTILINE)


class JointNames(Extension):
    """Keeps such names together."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for everything that is read."""
        if obj.docstring:
            obj.docstring.value = _NAMES.sub(_joined, obj.docstring.value)


def _joined(names: re.Match[str]) -> str:
    return names[0].replace(", ", ",\N{NO-BREAK SPACE}")
