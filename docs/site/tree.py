"""The package as its files tell it: modules, their first sentences, and where a name is defined.

Nothing is imported: the site is built without torch, and a package that moves needs no edit here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parameter:
    """A field of a plug-in that is a dataclass: its name and its default, as written."""

    name: str
    default: str


@dataclass(frozen=True)
class Definition:
    """A class, a function or a documented value at the top of a module."""

    name: str
    doc: str
    fields: tuple[Parameter, ...] = ()
    bases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Module:
    """One file, or a package's ``__init__``.

    Attributes:
        name: dotted, ``calprune.data.store``.
        doc: the docstring, or nothing.
        exported: the names of ``__all__``; none where there is no ``__all__``.
        definitions: what the file itself defines and does not hide.
        imported: name to the dotted module it is imported from, at the top or for types only.
    """

    name: str
    is_package: bool
    doc: str
    exported: tuple[str, ...]
    definitions: tuple[Definition, ...]
    imported: dict[str, str]

    @property
    def public(self) -> tuple[str, ...]:
        """``__all__`` where there is one, else everything that is defined here and documented."""
        return self.exported or tuple(d.name for d in self.definitions if d.doc)


Tree = dict[str, Module]


def read(package: Path) -> Tree:
    """All modules of a package, by dotted name, parents first."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package.parent).with_suffix("")
        parts = [part for part in inside.parts if part != "__init__"]
        found[".".join(parts)] = _module(".".join(parts), path)
    return dict(sorted(found.items()))


def below(tree: Tree, package: str) -> list[Module]:
    """The modules directly in a package, by name; hidden ones (``_x``, ``__main__``) left out."""
    start = package + "."
    names = [n for n in tree if n.startswith(start) and "." not in n[len(start) :]]
    return [tree[n] for n in names if not n[len(start) :].startswith("_")]


def count(tree: Tree, package: str) -> int:
    """How many files there are in a package, at any depth, without empty packages' own."""
    inside = [m for m in tree.values() if m.name.startswith(package + ".")]
    return sum(not m.is_package or bool(m.definitions) for m in [tree[package], *inside])


def defining(tree: Tree, name: str) -> Module:
    """The one module that defines a name; ``module.Name`` where several do.

    Raises:
        LookupError: there is none, or more than one.
    """
    where, _, bare = name.rpartition(".")
    found = [
        module
        for module in tree.values()
        if any(d.name == bare for d in module.definitions)
        and (not where or module.name.endswith("." + where))
    ]
    if len(found) != 1:
        known = ", ".join(m.name for m in found) or "no module"
        raise LookupError(f"{name!r} is to be documented, and {known} defines it")
    return found[0]


def parameters(tree: Tree, module: Module, name: str) -> tuple[Parameter, ...]:
    """The fields of a dataclass, those that it inherits within the package first."""
    source = module.imported.get(name)
    if source in tree:
        return parameters(tree, tree[source], name)
    here = next((d for d in module.definitions if d.name == name), None)
    if here is None:
        return ()
    inherited = [p for base in here.bases for p in parameters(tree, module, base)]
    return tuple({p.name: p for p in (*inherited, *here.fields)}.values())


def first_sentence(doc: str) -> str:
    """The first sentence of a docstring, on one line, in Markdown."""
    paragraph = " ".join(doc.partition("\n\n")[0].split())
    end = paragraph.find(". ")
    return (paragraph if end < 0 else paragraph[: end + 1]).replace("``", "`")


def _module(name: str, path: Path) -> Module:
    body = ast.parse(path.read_text(encoding="utf-8"), str(path))
    exported: tuple[str, ...] = ()
    definitions = []
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if not isinstance(target, ast.Name):
                continue
            if target.id == "__all__" and node.value is not None:
                exported = tuple(ast.literal_eval(node.value))
            elif not target.id.startswith("_"):
                definitions.append(Definition(target.id, _text(after)))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            is_class = isinstance(node, ast.ClassDef)
            fields = tuple(_fields(node)) if is_class else ()
            bases = tuple(ast.unparse(base) for base in node.bases) if is_class else ()
            definitions.append(Definition(node.name, ast.get_docstring(node) or "", fields, bases))
    imported = {
        alias.asname or alias.name: node.module
        for node in ast.walk(body)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return Module(
        name,
        path.name == "__init__.py",
        ast.get_docstring(body) or "",
        exported,
        tuple(definitions),
        imported,
    )


def _text(node: ast.stmt | None) -> str:
    """The string that stands under a value, which is its documentation."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value if isinstance(node.value.value, str) else ""
    return ""


def _fields(node: ast.ClassDef) -> Iterator[Parameter]:
    if not any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        return
    for line in node.body:
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        if "ClassVar" not in ast.unparse(line.annotation):
            yield Parameter(line.target.id, ast.unparse(line.value) if line.value else "")
