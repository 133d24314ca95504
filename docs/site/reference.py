"""The pages of the Python reference, made of the package as it is.

A page says *what* it documents: the package's own names, the shelves of the registry, or names
that are looked up wherever they are defined. No page says in which module they live.
"""

from __future__ import annotations

from collections.abc import Mapping

import tree
from tree import Module, Tree

# What users meet besides the package's own names. A name that several modules define takes the
# last part of the module's before it.
LookedUp = tuple[str, str, tuple[str, ...]]
LOOKED_UP: dict[str, LookedUp] = {
    "data": (
        "Sealed data",
        "What a store holds, and what a sealed logit file is once it is read.",
        ("Store", "read_logits", "LogitTable", "Replies", "Questions"),
    ),
    "predictions": (
        "Predictions",
        "What metrics, calibrators and scorers read: each row's prediction with its confidence.",
        ("Predictions", "read_predictions"),
    ),
    "results": (
        "Results",
        "The rows of tables: what `estimates`, `compare`, `power` and `trend` give, and `report`.",
        ("Estimate", "Difference", "Power", "Trend", "Reproduced", "Reproduction"),
    ),
}
# Whole modules: every error, and the laws for plug-in authors' own tests.
WHOLE = {
    "errors": ("Errors", "calprune.errors"),
    "testing": ("Checks for plug-ins", "calprune.testing"),
}


def pages(
    modules: Tree,
    shelves: Mapping[str, str],
    looked_up: Mapping[str, LookedUp] = LOOKED_UP,
    whole: Mapping[str, tuple[str, str]] = WHOLE,
) -> dict[str, tuple[str, str]]:
    """File name to title and Markdown, in reading order.

    Args:
        modules: the package.
        shelves: group of plug-ins to its folder below the package, as in the registry.
        looked_up: file name to title, introduction and names of further pages.
        whole: file name to title and module of pages that document all of a module or package.

    Raises:
        LookupError: a name that is to be documented is gone, hidden or defined twice.
    """
    (root,) = [m for m in modules.values() if "." not in m.name]
    made = {"calprune": ("The package", _package(root))}
    taken = {_home(modules, root, name) for name in root.exported}
    for file, (title, what, names) in looked_up.items():
        found = [f"{tree.defining(modules, n).name}.{n.rpartition('.')[2]}" for n in names]
        made[file] = (title, _page(title, what, [n for n in found if n not in taken]))
        taken.update(found)
    for group, folder in shelves.items():
        shelf = modules[f"{root.name}.{folder.replace('/', '.')}"]
        title = group.capitalize().replace("_", " ")
        contract = [n for n in shelf.public if _home(modules, shelf, n) not in taken]
        if not contract:
            raise LookupError(f"{shelf.name}: say in __all__ what a plug-in author needs of it")
        taken.update(_home(modules, shelf, name) for name in contract)
        text = _page(title, shelf.doc, [f"{shelf.name}.{name}" for name in contract])
        made[group] = (title, f"{text}\n{_shelf(modules, shelf)}")
    for file, (title, part) in whole.items():
        inside = [modules[part], *tree.below(modules, part)]
        names = [f"{m.name}.{name}" for m in inside for name in m.public]
        made[file] = (title, _page(title, modules[part].doc, names))
    return made


def _package(root: Module) -> str:
    return _page("The package `calprune`", root.doc, [f"{root.name}.{n}" for n in root.exported])


def _page(title: str, text: str, names: list[str]) -> str:
    return f"# {title}\n\n{_markdown(text)}\n\n" + "\n\n".join(f"::: {name}" for name in names)


def _shelf(modules: Tree, shelf: Module) -> str:
    """A table of the plug-ins of a group that come with the package."""
    lines = ["\n## What comes with the package\n", "| name | parameters | what |", "|---|---|---|"]
    for module in tree.below(modules, shelf.name):
        plugin = next((d for d in module.definitions if d.name in module.exported), None)
        name = module.name.rpartition(".")[2].replace("_", "-")
        doc = (plugin.doc if plugin else "") or module.doc
        fields = tree.parameters(modules, module, plugin.name) if plugin else ()
        takes = ", ".join(f"`{p.name}={p.default}`" if p.default else f"`{p.name}`" for p in fields)
        lines.append(f"| `{name}` | {_cell(takes)} | {_cell(tree.first_sentence(doc))} |")
    return "\n".join(lines) + "\n"


def _home(modules: Tree, module: Module, name: str) -> str:
    """Where a name is defined that a module defines or hands on."""
    if any(d.name == name for d in module.definitions) or name not in module.imported:
        return f"{module.name}.{name}"
    source = module.imported[name]
    return _home(modules, modules[source], name) if source in modules else f"{source}.{name}"


def _markdown(doc: str) -> str:
    return doc.replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
