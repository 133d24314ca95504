"""Every option of every way to run a command is read, or refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from calprune import cli
from calprune.analyze.options import PredictionOptions, check_read
from calprune.analyze.study import Study
from calprune.commands import modes
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError, PlanError
from tests.analyze.conftest import make_condition, make_table, opened


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))


def options(command: str) -> dict[str, Any]:
    found = [p for p in COMMANDS[command].params if p.param_type_name == "option"]
    return {p.name: p for p in found if p.name != "help"}


def run(*words: str) -> None:
    COMMANDS[words[0]].main(list(words[1:]), standalone_mode=False)


# How to ask for each mode.
ASKED: dict[str, dict[str, list[str]]] = {
    "analyze": {
        "": [],
        "--against": ["--against", "full"],
        "--power": ["--power"],
        "--trend": ["--trend", "alpha"],
        "--plot": ["--plot", "P"],
        "--against --plot": ["--against", "full", "--plot", "P"],
        "--power --plot": ["--power", "--plot", "P"],
        "--trend --plot": ["--trend", "alpha", "--plot", "P"],
        "--confidence A,B": ["--confidence", "answer-set,raw"],
        "--confidence A,B --against": ["--confidence", "answer-set,raw", "--against", "full"],
        "--calibration-slope": ["--calibration-slope"],
        "--calibration-slope --against": ["--calibration-slope", "--against", "full"],
        "--overview": ["--overview"],
        "--pareto": ["--pareto"],
    },
    "rows": {"": [], "--format csv": ["--format", "csv"]},
    "report": {
        "": [],
        "--study": ["--study", "calibration"],
        "--study --format": ["--study", "calibration", "--format", "latex"],
        "--study --plot": ["--study", "calibration", "--plot", "P"],
        "--study --format --plot": [
            *("--study", "calibration", "--format", "latex", "--plot", "P"),
        ],
    },
    "collect": {
        "": [],
        "--study": ["--study", "calibration"],
        "--dry-run": ["--dry-run"],
        "--study --dry-run": ["--study", "calibration", "--dry-run"],
    },
    "judge": {"": [], "--endpoint": ["--endpoint", "U"], "--grades": ["--grades", "F"]},
    "import": {"": ["F"]},
    "ls": {"conditions": ["conditions"], "runs": ["runs"], "of plug-ins": ["selectors"]},
    **{
        name: {"": []}
        for name in (
            *("compare-selections", "verify", "data check", "data fetch", "show tokens"),
            *("pack", "unpack", "push", "pull", "gc", "migrate"),
        )
    },
    "show file": {"": []},
}
NEEDED = {"compare-selections": ["--select", "full"], "show tokens": ["--select", "full"]}
NEEDED |= {"data check": ["pope"], "data fetch": ["pope"], "show file": ["F"]}
NEEDED |= {"pack": ["store", "x.calprune"], "unpack": ["x.calprune"]}
NEEDED |= {"push": ["store", "hf://o/n"], "pull": ["hf://o/n"]}
VALUES = {"confidence": "raw", "interval": "basic", "resample": "rows", "correction": "bh"}
VALUES |= {"answer_set": "all", "target": "soft", "format": "csv", "formats": "svg"}
VALUES |= {"share": "1/2", "workers": "3"}


def words_of(command: str, name: str) -> list[str]:
    """An option as a user would give it."""
    param = options(command)[name]
    if param.is_flag:
        return [param.opts[0]]
    return [param.opts[0], VALUES.get(name, "200")]


def test_every_command_and_every_option_is_declared() -> None:
    assert modes.MODES.keys() == COMMANDS.keys() == ASKED.keys()
    for name, command in COMMANDS.items():
        assert isinstance(command, modes.Command), name
        assert command.key == name
        listed = modes.MODES[name]
        assert listed.keys() == ASKED[name].keys()
        declared = {option for text in listed.values() for option in text.split()}
        assert declared == options(name).keys(), name


def test_no_option_tells_two_defaults() -> None:
    for name in COMMANDS:
        for option in options(name).values():
            told = option.get_help_record(typer.Context(COMMANDS[name]))
            assert told is None or told[1].count("[default") <= 1, f"{name} {option.opts[0]}"


def product() -> Iterator[tuple[str, str, str]]:
    for command, listed in modes.MODES.items():
        for mode in listed:
            for name in options(command):
                yield command, mode, name


class Ran(Exception):
    """The command itself was reached."""


def test_each_option_of_each_mode_is_read_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def ran(*_: Any, **__: Any) -> None:
        raise Ran

    for command in COMMANDS.values():
        monkeypatch.setattr(command, "callback", ran)
    seen: dict[bool, int] = {True: 0, False: 0}
    for command, mode, name in product():
        asked = [*ASKED[command][mode], *NEEDED.get(command, [])]
        if options(command)[name].opts[0] in asked:
            continue  # it is what asks for the mode
        given = [*asked, *words_of(command, name)]
        given += ["--calibrate", "platt"] if name == "folds" else []
        given += ["--format", "latex"] if name == "labels" and command == "analyze" else []
        ctx = COMMANDS[command].make_context(command, list(given))
        if modes.MODE_OF.get(command, lambda _: "")(ctx.params) != mode:
            continue  # it asks for another mode
        declared = name in modes.MODES[command][mode].split()
        seen[declared] += 1
        if declared:
            with pytest.raises(Ran):
                COMMANDS[command].main(given, standalone_mode=False)
            continue
        with pytest.raises(PlanError) as caught:
            COMMANDS[command].main(given, standalone_mode=False)
        assert caught.value.exit_code == 2
        assert modes.option(name) in str(caught.value), (command, mode, name)
    assert seen[True] > 250
    assert seen[False] > 100


QUICK = ["--format", "csv", "--draws", "100"]
TESTS = ["--permutations", "50"]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    run("analyze", *words)
    return capsys.readouterr().out


@pytest.mark.parametrize("mode", ["", "--against", "--overview", "--plot"])
@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("correction", "bh, holm"),
        ("interval", "auto, basic, bridge, percentile, studentised"),
        ("resample", "images, rows"),
        ("target", "hard, soft"),
        ("answer_set", "all, four, offered"),
        ("confidence", "answer-set, auto"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_everywhere(
    name: str, listed: str, mode: str
) -> None:
    with pytest.raises(PlanError, match=f"unknown {name.replace('_', ' ')} 'nope'.*{listed}"):
        run("analyze", *ASKED["analyze"][mode], modes.option(name), "nope")
    with pytest.raises(PlanError, match="unknown target 'nope'"):
        run("report", "--target", "nope")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "soft"], "--target soft is about generated replies"),
        (["--target", "hard"], "--target hard is about generated replies"),
        (["--confidence", "minimum"], "--confidence minimum is that of generated replies"),
        (["--folds", "3"], "--folds is read with --calibrate"),
        (["--overview", "--target", "soft"], "--target"),
        (["--overview", "--calibrate", "platt"], "--calibrate is not read by the benchmarks' own"),
        (["--overview", "--answer-set", "all"], "--answer-set is not read by the benchmarks' own"),
        (["--pareto", "--target", "soft"], "--target"),
    ],
)
def test_what_these_files_cannot_use_is_refused(
    cache: list[Any], words: list[str], said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        run("analyze", *words)


def check(table: LogitTable, **given: Any) -> None:
    check_read([table], PredictionOptions(**given), given)


def test_of_replies_alone_nothing_can_be_chosen() -> None:
    table = opened(make_table(images=12))
    check(table, target="soft", confidence="mean-logprob")
    for name, value in (("answer_set", "all"), ("verbalizers", "first")):
        with pytest.raises(PlanError, match=f"{modes.option(name)} is about answers"):
            check(table, **{name: value})
    half = opened(make_table(images=12), 0.5)
    check(half, target="soft", answer_set="all")
    with pytest.raises(PlanError, match=r"--target soft.* confidence raw reads none"):
        check(half, target="soft", confidence="raw")


def test_methods_of_a_study_refuse_the_same(tmp_path: Path) -> None:
    study = Study((make_table(), make_table(make_condition("scope", 16), noise=1)))
    asked: list[Any] = [{"target": "soft"}, {"confidence": "mean-logprob"}, {"folds": 3}]
    for own in asked:
        for method in (study.estimates, study.compare, study.power, study.predictions):
            with pytest.raises(PlanError, match=f"--{next(iter(own))}"):
                method(**own)
    for own in ({"by": "split"}, {"budget": 16}, {"correction": "bh"}, {"against": "scope"}):
        with pytest.raises(PlanError, match=f"figure pareto does not read {next(iter(own))}"):
            study.plot("pareto", tmp_path / "f", **own)  # type: ignore[arg-type]
    unread: dict[str, dict[str, Any]] = {
        "risk-coverage": {"draws": 10},
        "curve": {"permutations": 9},
        "reliability": {"interval": "auto"},
        "u-curve": {"metric": "nll"},
    }
    for kind, own in unread.items():
        with pytest.raises(PlanError, match=f"figure {kind} does not read {next(iter(own))}"):
            study.plot(kind, tmp_path / "f", **own)
    with pytest.raises(PlanError, match="does not read correction"):
        study.draw(tmp_path, kinds=["curve", "reliability"], correction="bh")
    with pytest.raises(PlanError, match="does not read metric"):
        study.draw(tmp_path, kinds=["reliability"], metrics=["nll"])
    with pytest.raises(PlanError, match="unknown option 'permutations'"):
        study.estimates(permutations=9)  # type: ignore[call-arg]
    with pytest.raises(PlanError, match="unknown interval 'nope'"):
        study.plot("curve", tmp_path / "f", interval="nope")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["collect", "--store", "a", "--store", "b"], "--store is given 2 times.*one store"),
        (["analyze", "--metric", "ece", "--metric", "nll"], "--metric is given 2.*by commas"),
        (["collect", "--keep", "16", "--keep", "32"], "--keep is given 2 times.*by commas"),
        (["ls", "--format", "json", "--format", "table"], "--format is given 2 times"),
    ],
)
def test_one_value_is_not_given_twice(words: list[str], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        run(*words)


def test_flags_and_lists_may_be_repeated(
    cache: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, "--each-seed", "--each-seed", *QUICK)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--select", "full", "--keep", "16"], "--keep: full takes no budget"),
        (["--select", "full", "--positions", "original"], "--positions original: what these"),
        (["--data", "."], "--data .: shapes is generated"),
        (["--bench", "shapes-mc", "--data", "."], "--data .: shapes-mc is generated"),
        (["--select", "random", "--keep", "8", "--numerics", "both"], "--numerics both: random"),
        (["--dry-run", "--audit", "3"], "--audit is not read by collect --dry-run"),
        (["--gpu", "a100"], "--gpu is not read by collect alone"),
        (["--max-left-out", "5%"], "--max-left-out: shapes is generated and lacks no image"),
        (["--max-left-out", "500%"], "--max-left-out '500%': a share lies between 0 and 1"),
        (["--select", "full", "--select", "blind", "--keep", "8"], "full and blind take no budget"),
        (["--select", "random:seed=1:seed=2", "--keep", "8"], "random.*seed.*twice"),
    ],
)
def test_collect_refuses_what_it_would_not_read(
    tmp_path: Path, words: list[str], said: str
) -> None:
    pytest.importorskip("torch")
    with pytest.raises(PlanError, match=said):
        run("collect", "--store", str(tmp_path / "s"), *words)
    assert not (tmp_path / "s").exists()


@pytest.mark.torch
@pytest.mark.parametrize("words", [["--strict"], ["--clip", "x"]])
def test_an_estimate_refuses_what_asks_for_files(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CalpruneError, match=f"does not read {words[0]}") as caught:
        run("collect", "--bench", "pope", "--model", "llava-1.5-7b", "--dry-run", *words)
    assert caught.value.exit_code == 2


@pytest.mark.torch
def test_an_estimate_reads_numerics_positions_and_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    words = ("collect", "--bench", "pope", "--model", "llava-1.5-7b", "--dry-run")
    run(*words, "--select", "scope", "--keep", "64")
    plain = capsys.readouterr().out
    run(*words, "--select", "scope", "--keep", "64", "--numerics", "both", "--device", "cpu",
        "--positions", "original")  # fmt: skip
    told = capsys.readouterr().out
    assert " positions=original numerics=compat" in told
    assert plain.count("to ask\n") < told.count("to ask\n")
    assert "14.1 GB" in plain or "weights" in plain
    assert plain.split("memory: ")[1] != told.split("memory: ")[1]
