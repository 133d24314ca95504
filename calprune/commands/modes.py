"""Which options each way of running a command reads: one table, checked in one place.

An option that was given and is not read is an error that names it and says who reads it. So is one
that was given twice where one value is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, get_args

from typer.core import TyperCommand

from calprune import registry
from calprune.commands.values import spare
from calprune.errors import PlanError

Values = Mapping[str, Any]

_NAMES = re.compile(r"\{names of ([a-z]+)\}")

_READING = "answer_set confidence calibrate target"
_PREDICTED = f"folds verbalizers {_READING}"
_ANALYZE = f"store untrusted bench model select keep format labels {_PREDICTED}"
_ESTIMATED = f"{_ANALYZE} metric draws seed each_seed resample common"
_TESTED = "mixed_numerics correction permutations"
_SLOPES = "calibration_slope by each_seed resample common"
_TABLES = {
    "": f"{_ESTIMATED} by interval",
    "--against": f"{_ESTIMATED} by interval {_TESTED} against",
    "--power": f"{_ESTIMATED} by power detect against mixed_numerics",
    "--trend": f"{_ESTIMATED} by interval {_TESTED} trend",
}
_OF_PICTURES = "plot figure formats width font_size titled"
_DRAWN = f"{_OF_PICTURES} interval {_TESTED}"  # what figures read beside the table
_STUDY_DRAWN = "plot formats width font_size titled"
_UNDRAWN = ("each_seed", "common")  # what only the table would read: figures join seeds
_COLLECT = (
    "bench model revision keep numerics positions picture template clip reply_tokens store data "
    "images device dtype strict max_left_out"
)
_RUN = "batch_tokens max_memory shard audit min_mass"
_REPRODUCED = f"{_ANALYZE} draws seed interval resample mixed_numerics study published"
_PAGE = f"{_ESTIMATED} by interval {_TESTED} against out questions thumbnails data"
_ROWS = (
    f"store untrusted bench model format {_PREDICTED} data against changed flips "
    "confident_errors select keep mixed_numerics"
)
_SELECTED = "select bench keep model revision picture clip store data images device dtype"


def _plotted(text: str) -> str:
    return " ".join([*(name for name in text.split() if name not in _UNDRAWN), _DRAWN])


MODES: dict[str, dict[str, str]] = {
    "analyze": {
        **_TABLES,
        **{f"{mode} --plot".strip(): _plotted(text) for mode, text in _TABLES.items()},
        "--confidence A,B": f"{_ESTIMATED} interval",
        "--confidence A,B --against": f"{_ESTIMATED} interval {_TESTED} against",
        "--calibration-slope": f"{_ANALYZE} {_SLOPES}",
        "--calibration-slope --against": (
            f"{_ANALYZE} {_SLOPES} against mixed_numerics correction"
        ),
        "--overview": f"{_ANALYZE} overview metric",
        "--pareto": f"{_ANALYZE} pareto each_seed",
    },
    "rows": {"": f"{_ROWS} by top", "--format csv": f"{_ROWS} out"},
    "report": {
        "": _PAGE,
        "--study": f"{_PAGE} study published",
        "--study --format": _REPRODUCED,
        "--study --plot": f"{_PAGE} study published {_STUDY_DRAWN}",
        "--study --format --plot": f"{_REPRODUCED} {_STUDY_DRAWN}",
    },
    "collect": {
        "": f"{_COLLECT} {_RUN} select",
        "--study": f"{_COLLECT} {_RUN} study",
        "--dry-run": f"{_COLLECT} dry_run gpu format select",
        "--study --dry-run": f"{_COLLECT} dry_run gpu format study",
    },
    "judge": {
        "": "store bench model out format",
        "--endpoint": "store bench model endpoint judge key_env workers timeout replace",
        "--grades": "store bench model grades condition replace",
    },
    "import": {"": "from_ store bench model selector keep label"},
    "ls": {
        "conditions": "store untrusted format",
        "runs": "store format",
        "of plug-ins": "format",
    },
    "compare-selections": {"": f"{_SELECTED} numerics per_image format max_left_out"},
    "show tokens": {"": f"{_SELECTED} image question out formats"},
    "show file": {"": "untrusted"},
    "verify": {"": "store untrusted"},
    "gc": {"": "store kind delete"},
    "migrate": {"": "store"},
    "pack": {"": "bench model select keep features"},
    "unpack": {"": "into"},
    "push": {"": "bench model select keep features create"},
    "pull": {"": "bench model condition features into"},
    "data fetch": {"": "dir"},
    "data check": {"": "data format"},
}
"""Names of the options that are read, by command and mode.

A mode is called after the options that ask for it; ``""`` is the command without any of them.
"""


def _analyze(values: Values) -> str:
    if values["pareto"]:
        return "--pareto"
    if values["overview"]:
        return "--overview"
    against = values["against"] is not None
    if values["calibration_slope"]:
        return "--calibration-slope" + " --against" * against
    if "," in values["confidence"]:
        return "--confidence A,B" + " --against" * against
    table = "--against" if against else ""
    table = "--power" if values["power"] else table
    table = "--trend" if values["trend"] is not None else table
    return table if values["plot"] is None else f"{table} --plot".strip()


def _rows(values: Values) -> str:
    return "--format csv" if values["format"] in ("csv", "json", "parquet") else ""


def _report(values: Values) -> str:
    if not values["study"]:
        return ""
    mode = "--study" if values["format"] == "html" else "--study --format"
    return mode if values["plot"] is None else f"{mode} --plot"


def _collect(values: Values) -> str:
    asked = ["--study"] * bool(values["study"]) + ["--dry-run"] * bool(values["dry_run"])
    return " ".join(asked)


def _judge(values: Values) -> str:
    return "--endpoint" if values["endpoint"] else "--grades" if values["grades"] else ""


def _ls(values: Values) -> str:
    return str(values["what"]) if values["what"] in ("conditions", "runs") else "of plug-ins"


MODE_OF: dict[str, Callable[[Values], str]] = {
    "analyze": _analyze,
    "rows": _rows,
    "report": _report,
    "collect": _collect,
    "judge": _judge,
    "ls": _ls,
}
"""Which mode these values ask for, where a command has several."""

_TOGETHER = {"folds": "calibrate"}  # options that only another one makes sense of
_TWICE = {
    "store": "what is made goes into one store",
    **dict.fromkeys(
        ("metric", "confidence", "figure", "keep", "formats"), "separate values by commas"
    ),
}


def given(ctx: Any) -> set[str]:
    """Names of the options that the user gave, whatever their values."""
    return {
        name
        for name in ctx.params
        if getattr(ctx.get_parameter_source(name), "name", "") in ("COMMANDLINE", "ENVIRONMENT")
    }


def check(command: str, values: Values, named: Collection[str]) -> None:
    """PlanError for an option that this mode does not read, or for a choice that does not exist.

    Args:
        command: a key of ``MODES``.
        values: of all options, by name.
        named: those that the user gave.
    """
    if command in ("analyze", "rows", "report"):
        from calprune.commands.reading import analysis_options

        analysis_options(values)  # a choice that does not exist is refused, read or not
    mode = MODE_OF[command](values) if command in MODE_OF else ""
    listed = MODES[command]
    read = set(listed[mode].split())
    drawn = command == "analyze" and mode.endswith("--plot")
    undrawn = _undrawn(mode, values, named) if drawn else set()
    for name in sorted(named):
        if name in undrawn:
            raise PlanError(
                f"{option(name)} is read neither by the table nor by figure {values['figure']}: "
                "leave it out"
            )
        if name not in read and any(name in text.split() for text in listed.values()):
            raise PlanError(
                f"{option(name)} is not read by {_title(command, mode)}; it is read by "
                f"{_readers(command, name)}: leave it out"
            )
    if "labels" in named and not _labelled(command, values):
        raise PlanError(
            "--labels is read by figures, LaTeX tables and HTML reports: add --plot or --format "
            "latex, or leave it out"
        )
    for name, other in _TOGETHER.items():
        if name in named and name in read and not values[other]:
            raise PlanError(f"{option(name)} is read with {option(other)} only: leave it out")


def _labelled(command: str, values: Values) -> bool:
    """Whether conditions are called as people call them; else the names to type are printed."""
    if command == "report":  # a study's figures call them as the paper does
        return values["format"] in ("html", "latex")
    return values["format"] == "latex" or values.get("plot") is not None


def _undrawn(mode: str, values: Values, named: Collection[str]) -> set[str]:
    """What no figure asked for reads, and no table either."""
    table = MODES["analyze"][_table(mode)].split()
    extra = set(_DRAWN.split()) - {*_OF_PICTURES.split(), *table}
    if not values["figure"] or not extra & set(named):
        return set()
    from calprune.analyze import figures

    kinds = [figures.of_kind(text.strip()) for text in values["figure"].split(",")]
    return {name for name in extra if not any(figures.reads(kind, name) for kind in kinds)}


def option(name: str) -> str:
    """``each_seed`` as it is typed; ``from_`` is a word of Python's."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def _title(command: str, mode: str) -> str:
    return f"{command} {mode}" if mode else f"{command} alone"


def _readers(command: str, name: str) -> str:
    """Modes that read an option; those with figures only where the table alone does not."""
    reading = [mode for mode, text in MODES[command].items() if name in text.split()]
    shown = [m for m in reading if "--plot" not in m or _table(m) not in reading]
    return ", ".join(_title(command, mode) for mode in shown)


def _table(mode: str) -> str:
    """The mode without its figures."""
    return mode.removesuffix("--plot").strip()


def without_figures(values: Values) -> str:
    """Which mode of ``analyze`` these values ask for, figures apart."""
    return _table(_analyze(values))


class Command(TyperCommand):
    """A command that refuses what it would not read; ``key`` is its name in ``MODES``."""

    key = ""

    def get_params(self, ctx: Any) -> Any:
        """What may be given, and how it is converted."""
        return spare(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse options given twice, of which the last would count, and those given nothing."""
        told, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param in order:
            texts = told.get(param.name)
            if param.param_type_name == "option" and "" in (texts, *_listed(texts)):
                raise PlanError(
                    f"{option(param.name or '')} is empty: give it a value, or leave it out"
                )
        counts = Counter(param.name for param in order if not _repeats(param))
        for name, count in counts.items():
            if count > 1:
                why = _TWICE.get(name or "", "")
                raise PlanError(
                    f"{option(name or '')} is given {count} times and takes one value"
                    + f": {why}" * bool(why)
                )
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, in which ``{names of GROUP}`` is filled with what there is to choose from."""
        params: list[Any] = self.params
        for param in params:
            text = getattr(param, "help", None)
            if text:
                param.help = _NAMES.sub(lambda m: ", ".join(_names(m[1])), text)
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Check, then run."""
        check(self.key, ctx.params, given(ctx))
        if ctx.params.get("untrusted"):
            from calprune.data.storage.origin import suspect_all

            suspect_all()
        return super().invoke(ctx)


def _names(group: str) -> Iterable[str]:
    """Plug-ins of a group, or the values of a choice that is none."""
    if group == "groupings":
        from calprune.data.questions import RESERVED

        return RESERVED
    if group == "intervals":
        from calprune.analyze.statistics.intervals import Interval

        return get_args(Interval)
    if group == "formats":
        from calprune.analyze.tables.render import FORMATS

        return FORMATS
    if group == "pictures":
        from calprune.analyze import figures

        return figures.FORMATS
    return registry.names(group)


def _listed(texts: object) -> Collection[object]:
    return texts if isinstance(texts, list | tuple) else ()


def _repeats(param: Any) -> bool:
    """Whether saying it twice loses nothing."""
    flag = getattr(param, "is_flag", False)
    return bool(getattr(param, "multiple", False) or flag or param.param_type_name == "argument")


def reading(key: str) -> type[Command]:
    """The class of a command, for ``typer``."""
    return type("Command", (Command,), {"key": key})
