"""Names to plug-ins, without importing the plug-ins.

A built-in plug-in is one file in its group's folder: ``random_draw.py`` is called ``random-draw``
and exports one name in ``__all__``. Third parties add theirs by entry points of the same group.
Both share one shelf; two plug-ins of one name are an error.
"""

from __future__ import annotations

import contextlib
import pkgutil
import re
import typing
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune import failures
from calprune.errors import CalpruneError, PlanError
from calprune.extras import needed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = {
    "benchmarks": "data/benchmarks",
    "selectors": "collect/selectors",
    "models": "collect/models",
    "metrics": "analyze/metrics",
    "scorers": "analyze/scorers",
    "parsers": "analyze/parsers",
    "confidence": "analyze/confidence",
    "calibrators": "analyze/calibrators",
    "studies": "data/studies",
    "figures": "analyze/figures",
    "logs": "data/logs",
}

WORDS = {"selectors": "all", "confidence": "auto"}
"""What else may stand where a plug-in's name does, so that none is called so."""


@cache
def _foreign() -> Any:
    """Entry points of all packages: reading them takes 25 ms where many are installed."""
    from importlib.metadata import entry_points

    return entry_points()


@cache
def _shelf(group: str) -> dict[str, str | EntryPoint]:
    folder = _folder(group)
    shelf: dict[str, str | EntryPoint] = {
        module.name.replace("_", "-"): module.name
        for module in pkgutil.iter_modules([str(folder)])
        if not module.name.startswith("_")
    }
    for entry in _foreign().select(group=f"calprune.{group}"):
        if entry.name in shelf:
            raise PlanError(
                f"two {group} are called {entry.name!r}; one of them is {entry.value}: "
                "rename or uninstall that plug-in"
            )
        if entry.name == WORDS.get(group):
            raise PlanError(
                f"none of the {group} can be called {entry.name!r}, a word with a meaning here; "
                f"{entry.value} is: rename or uninstall that plug-in"
            )
        shelf[entry.name] = entry
    return shelf


def _folder(group: str) -> Path:
    return Path(__file__).parent / GROUPS[group]


def _package(group: str) -> str:
    return f"calprune.{GROUPS[group].replace('/', '.')}"


def names(group: str) -> list[str]:
    """All names in a group, sorted. Imports nothing."""
    return sorted(_shelf(group))


def packaged(group: str) -> list[str]:
    """Names of those that come with calprune, sorted, whatever else is installed."""
    return [name for name in names(group) if isinstance(_shelf(group)[name], str)]


def load(group: str, name: str) -> Any:
    """The plug-in called ``name``.

    Raises PlanError, with the nearest names, if there is none, or if its file fails, and
    MissingExtra if it needs a package that is not installed.
    """
    shelf = _shelf(group)
    if name not in shelf:
        raise PlanError(unknown(_one(group), name, shelf))
    found = shelf[name]
    module = found.module if not isinstance(found, str) else f"{_package(group)}.{found}"
    try:
        with needed(f"{_one(group)} {name!r}", also=module.partition(".")[0]):
            if not isinstance(found, str):
                return found.load()
            loaded = import_module(module)
        (exported,) = loaded.__all__
        return getattr(loaded, exported)
    except CalpruneError:
        raise
    except Exception as error:
        package = module.partition(".")[0]
        why = failures.reason(error, lambda each: each.partition(".")[0] == package)
        raise PlanError(f"{_one(group)} {name!r} cannot be loaded: {why}") from error


def told(group: str, name: str, attributes: Iterable[str]) -> dict[str, Any] | None:
    """What a built-in plug-in's class says of itself, read in its source, not imported.

    None for a plug-in of another package, and where any of them is not written there as a plain
    value: then ``load`` has them.
    """
    import ast

    found = _shelf(group)[name]
    if not isinstance(found, str):
        return None
    try:
        tree = ast.parse((_folder(group) / f"{found}.py").read_bytes())
    except OSError:
        return None
    exported: Any = None
    classes: dict[str, dict[str, Any]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = dict(_plain(node.body))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            (exported,) = ast.literal_eval(node.value)
    said = classes.get(exported, {})
    return {a: said[a] for a in attributes} if set(attributes) <= said.keys() else None


def _plain(body: Iterable[Any]) -> Iterable[tuple[str, Any]]:
    """Names in the body of a class that are bound to texts, numbers or lists of them."""
    import ast

    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            with contextlib.suppress(ValueError):
                value = ast.literal_eval(node.value)
                if isinstance(target, ast.Name):
                    yield target.id, value


def reason(error: Exception) -> str:
    """What went wrong in a plug-in, and in which line: ``KeyError: 'x' (FILE, line 3, …)``."""
    return failures.reason(error, lambda module: bool(_homes(module)))


def failure(error: Exception) -> str | None:
    """Which plug-in failed, on what and how, in one line; None if none was at work."""
    notes = ", ".join(getattr(error, "__notes__", ()))
    on = f" on {notes}" if notes else ""
    lines = [(step, _homes(step.module)) for step in reversed(failures.steps(error))]
    lines = [(step, homes) for step, homes in lines if homes]
    if not lines:
        return None
    # of several in one module, that whose class is at work there or, in a helper, further out
    exact = (
        [h for h in homes if h.cls in ("", step.function.split(".")[0])] for step, homes in lines
    )
    who = next(filter(None, exact), lines[0][1])
    named = " or ".join(f"{_one(home.group)} {home.name!r}" for home in who)
    return f"{named} failed{on}: {reason(error)}"


class _Home(typing.NamedTuple):
    """A plug-in of a module, and its class there, which is not known of calprune's own."""

    group: str
    name: str
    cls: str


def _homes(module: str) -> list[_Home]:
    """Plug-ins that a module defines, or else all those of its package; none of calprune's rest."""
    package, _, file = module.rpartition(".")
    for group in GROUPS:
        if package == _package(group):
            return [] if file.startswith("_") else [_Home(group, file.replace("_", "-"), "")]
    there = [(entry.module, _Home(group, entry.name, entry.attr)) for group, entry in _entries()]
    exact = [home for where, home in there if where == module]
    top = module.partition(".")[0]
    return exact or [h for where, h in there if where.partition(".")[0] == top != "calprune"]


def _entries() -> Iterable[tuple[str, EntryPoint]]:
    """Plug-ins of other packages, with their groups; none of groups where names clash."""
    for group in GROUPS:
        with contextlib.suppress(PlanError):
            yield from ((group, e) for e in _shelf(group).values() if not isinstance(e, str))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a misspelt name, with the nearest known ones."""
    known = sorted(known)
    near = _near(name, {each.casefold(): each for each in known})
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown {what} {name!r}: {hint}known: {', '.join(known)}"


def _near(name: str, known: dict[str, str]) -> list[str]:
    """Three at most that look alike, or that begin with a word that does, as ``scope:alpha=1``."""
    import difflib

    name = name.casefold()
    if near := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return [known[each] for each in near]
    first = {each: re.split("[: @]", each)[0] for each in known}
    word = difflib.get_close_matches(name, set(first.values()), n=1, cutoff=0.6)
    return [known[each] for each in known if first[each] in word][:3]


def parse(group: str, text: str) -> tuple[str, Any, dict[str, list[Any]]]:
    """``scope:alpha=0,0.5`` to the name, the plug-in and the values of each parameter given.

    Parameters are the fields of a plug-in that is a dataclass, and values are of their types.
    PlanError for unknown names and parameters (naming the nearest) and values that do not fit.
    """
    name, *settings = text.split(":")
    cls = load(group, name)
    what, known = _one(group), _parameters(cls)
    hints = typing.get_type_hints(cls) if settings else {}
    values: dict[str, list[Any]] = {}
    for setting in settings:
        key, equals, listed = setting.partition("=")
        if key not in known:
            raise PlanError(
                unknown(f"parameter of {name}", key, known)
                if known
                else f"{what} {name!r} takes no parameters, {setting!r} was given"
            )
        if not equals or not listed:
            raise PlanError(f"{what} {text!r}: write {key}=VALUE or {key}=VALUE,VALUE")
        if key in values:
            raise PlanError(f"{what} {text!r}: {key} is given twice")
        values[key] = [_coerce(f"{what} {text!r}", key, x, hints[key]) for x in listed.split(",")]
    return name, cls, values


def make(group: str, text: str) -> Any:
    """The plug-in called so, made with the parameters given, as ``ece:bins=10``.

    PlanError as of ``parse``, and for several values of one parameter.
    """
    _, cls, values = parse(group, text)
    for key, given in values.items():
        if len(given) > 1:
            raise PlanError(f"{_one(group)} {text!r} takes one value of {key}, not {len(given)}")
    return cls(**{key: given[0] for key, given in values.items()})


def _one(group: str) -> str:
    return {"studies": "study", "confidence": "confidence"}.get(group) or group[:-1]


def _parameters(cls: Any) -> list[str]:
    return [f.name for f in fields(cls)] if is_dataclass(cls) else []


def _coerce(where: str, key: str, item: str, kind: Any) -> Any:
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    if choices:
        if item not in choices:
            raise PlanError(f"{where}: {unknown(f'value of {key}', item, choices)}")
        return item
    try:
        if kind is bool:
            return {"true": True, "false": False}[item.lower()]
        return kind(item)
    except (ValueError, KeyError) as error:
        raise PlanError(f"{where}: {key}={item!r} is not {_a(kind)}") from error


def _a(kind: Any) -> str:
    name = getattr(kind, "__name__", str(kind))
    return {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(name, name)
