"""Docstrings that describe several attributes on one line: ``low, high: of the interval``.

The parser takes what follows the first space for a type, and for a name that it does not know the
type of the name before. So the space becomes one that does not break, and the types are said.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Extension

_NAMES = re.compile(r"^( +)(\w+(?:, \w+)+):", re.MULTILINE)
_APART = ",\N{NO-BREAK SPACE}"


class JointNames(Extension):
    """Keeps such names together, each with its type where they differ."""

    def on_class(self, *, cls: Class, **kwargs: Any) -> None:
        """Called for every class that is read."""

        def joined(match: re.Match[str]) -> str:
            names = match[2].split(", ")
            if not cls.attributes.keys() >= set(names):
                return match[0]
            types = dict.fromkeys(str(cls.attributes[name].annotation) for name in names)
            return f"{match[1]}{_APART.join(names)} ({', '.join(types)}):"

        if cls.docstring:
            cls.docstring.value = _NAMES.sub(joined, cls.docstring.value)
