"""Signatures in docs/extending.md are those of the code, to the letter."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from calprune import registry

GUIDE = Path(__file__).parent.parent / "docs" / "extending.md"
_BLOCK = re.compile(r"```py\n# from (calprune\.[a-z_.]+) import (.*?)\n(.*?)```", re.S)


def stub(found: Any) -> str:
    """A class or function as it is declared, without docstrings and bodies."""
    if not inspect.isclass(found):
        return f"def {found.__name__}{_written(found)}: ..."
    bases = [b.__name__ for b in found.__bases__ if b.__name__ not in ("object", "Protocol")]
    head = f"class {found.__name__}({', '.join(bases)}):" if bases else f"class {found.__name__}:"
    return "\n".join([head, *(f"    {line}" for line in _body(found))])


def _body(cls: type) -> Iterator[str]:
    values = {f.name: f for f in fields(cls)} if is_dataclass(cls) else {}
    for name, kind in vars(cls).get("__annotations__", {}).items():
        if not name.startswith("_"):
            field = values.get(name)
            made = field is not None and field.default_factory is not MISSING
            told = field is not None and field.default is not MISSING
            yield f"{name}: {kind}" + " = ..." * made + (f" = {field.default!r}" if told else "")
    for name, found in vars(cls).items():
        plain = getattr(found, "__func__", found)
        if isinstance(found, property):
            yield f"{name}: {inspect.signature(found.fget).return_annotation}  # property"
        elif inspect.isfunction(plain) and not (name.startswith("_") and name != "__call__"):
            if isinstance(found, classmethod):
                yield "@classmethod"
            yield f"def {name}{_written(plain)}: ..."


def _written(function: Any) -> str:
    """Annotations are strings in these modules, which ``inspect`` would put in quotes."""
    return str(inspect.signature(function)).replace("'", "")


def blocks() -> dict[str, tuple[list[str], str]]:
    return {
        module: (names.split(", "), text)
        for module, names, text in _BLOCK.findall(GUIDE.read_text())
    }


@pytest.mark.parametrize("module", sorted(blocks()))
def test_a_signature_of_the_guide_is_that_of_the_code(module: str) -> None:
    names, text = blocks()[module]
    shelf = import_module(module)
    assert set(names) <= set(shelf.__all__) if hasattr(shelf, "__all__") else True
    code = "\n\n".join(stub(getattr(shelf, name)) for name in names)
    assert ast.unparse(ast.parse(text)) == ast.unparse(ast.parse(code))


def test_every_shelf_of_plug_ins_has_its_signatures() -> None:
    of = {f"calprune.{folder.replace('/', '.')}" for folder in registry.GROUPS.values()}
    assert set(blocks()) == of - {"calprune.data.studies"}
