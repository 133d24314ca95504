"""``file``: a user's own questions, ``--bench file:questions.jsonl``, without writing any code."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calprune.data.benchmark import YES_NO, Answer, Example, OpenedBenchmark
from calprune.data.condition import canonical_json, sha256_of
from calprune.data.sources.labels import (
    OPTION_LETTER,
    SHORT_ANSWER,
    enough,
    letters,
    option_lines,
    yes_no,
)
from calprune.data.sources.records import Record, json_lines
from calprune.errors import BenchmarkError, PlanError

__all__ = ["File"]

KINDS = ("yes/no", "letter", "open")
TAG = "tag:"
COLUMNS = (
    "image",
    "question",
    "options",
    "kind",
    "label",
    "id",
    "split",
    "category",
    "cluster",
    "group",
    "prompt",
)
DELIMITERS = {".csv": ",", ".tsv": "\t"}
REPLY_TOKENS = 32
CLEAR, WORD, DIGIT = "clear", "word", "digit"
FORMS = {  # how labels spell yes and no
    CLEAR: ("yes", "no"),
    WORD: ("true", "false", "y", "n"),
    DIGIT: ("1", "0", "1.0", "0.0"),
}
PARSERS = {"yes/no": "pope", "letter": "mmbench"}  # how replies to closed questions are read


class File:
    """Questions in a file: JSON lines (.jsonl), or a table with a heading (.csv, .tsv).

    Columns, or fields of a JSON line:

    - image (needed): path of the image below the folder that ``--data`` names, or else below the
      file's own folder.
    - question (needed): what is asked.
    - label (needed): the right answer. Yes or no in any spelling; for multiple choice its letter,
      its index from 0, or its words; for an open question the words, or a list of words of which
      any is right.
    - options: list of text, for multiple choice.
    - kind: yes/no, letter or open. Without it a row with options is letter, one whose label is yes
      or no (or true or false in JSON, without quotes) is yes/no, and any other is open. Where all
      labels of such rows are true, false, yes and no, or all are 1 and 0, they are yes/no; some
      among other labels are refused, since they may be answers to open questions.
    - id: unique; without it a hash of image name and question.
    - split, category, cluster, group: as in ``Example``.
    - prompt: what the model reads instead of question, options and instruction.
    - tags: an object of text, further groups for reports.

    A table writes lists with ``|`` between the texts, and tags as columns ``tag:NAME``; its empty
    cells are absent. Closed questions of one file are either all yes/no or all letters; open ones
    may stand among them.
    """

    title = "your own questions: file:questions.jsonl, or .csv, .tsv; docs/your-own-questions.md"
    kind = "yes/no+letter+open"
    licence = "yours"
    origin = "a file of yours, no download"
    published = None

    def __init__(self, path: str) -> None:
        if not path:
            raise PlanError("benchmark 'file' needs a file: write file:PATH")
        self.path = Path(os.path.expanduser(path))  # the shell leaves file:~/x as it is

    def open(self, root: Path | None) -> OpenedBenchmark:
        """Read all questions; images stay where they are until they are asked for.

        Raises BenchmarkError for what cannot be understood, naming file, line and field.
        """
        if root is not None and not root.is_dir():
            raise BenchmarkError(f"--data {root}: there is no such folder; it should hold images")
        folder = self.path.parent if root is None else root
        read = list(_rows(self.path))
        if not read:
            raise BenchmarkError(f"{self.path}: no questions in it")
        rows = list(zip(read, _kinds(read), strict=True))
        return OpenedBenchmark(
            answers=_answers(rows),
            examples=_examples(rows),
            picture=lambda name: folder / name,
            upright=True,
            scorer=_scorer({kind for _, kind in rows}),
            reply_tokens=REPLY_TOKENS if any(kind == "open" for _, kind in rows) else 0,
            parser=PARSERS.get(next((kind for _, kind in rows if kind != "open"), ""), ""),
            layout="file",
        )


def _rows(path: Path) -> Iterator[Record]:
    """Rows with known columns only; of tables with lists and tags as in JSON."""
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        for row in json_lines(path):
            _known(row.where, row.values, (*COLUMNS, "tags"))
            _sound(row)
            yield row
    elif suffix in DELIMITERS:
        yield from _table(path, DELIMITERS[suffix])
    else:
        raise BenchmarkError(
            f"{path}: unknown suffix {suffix!r}; known: .jsonl (one JSON object a line), .csv, .tsv"
        )


def _known(where: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in found if name not in known]
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise BenchmarkError(f"{where}: unknown column {names}; known: {', '.join(known)}")


def _sound(row: Record) -> None:
    """BenchmarkError for what JSON lets pass, but no prompt and no digest can hold."""
    try:
        canonical_json(row.values).encode()
    except ValueError as error:
        raise BenchmarkError(
            f"{row.where}: NaN, or half of a character ({error}); write the line again"
        ) from error


def _table(path: Path, delimiter: str) -> Iterator[Record]:
    """Rows of a table; quoted cells may hold delimiters and line breaks."""
    begin = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            begin = reader.line_num + 1
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield Record(f"{path}, line {begin}", _fields(path, begin, header, cells))
                begin = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"{path}, line {begin}: no table in UTF-8 ({error}); a cell that begins with a double "
            "quote ends with one, and doubles those inside"
        ) from error
    except OSError as error:
        raise BenchmarkError(f"cannot read {path}: {error.strerror or error}") from error


def _check_header(path: Path, header: Sequence[str]) -> None:
    plain = {name: None for name in header if not (name.startswith(TAG) and name != TAG)}
    _known(f"{path}, line 1", plain, (*COLUMNS, f"{TAG}NAME"))
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BenchmarkError(f"{path}, line 1: two columns {', '.join(twice)}; rename one")


def _fields(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """One row of a table as it would be in JSON."""
    if len(cells) != len(header):
        raise BenchmarkError(
            f"{path}, line {line}: {len(cells)} cells under {len(header)} headings; put a cell "
            "that holds the delimiter in double quotes"
        )
    given = {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}
    fields: dict[str, Any] = {k: v for k, v in given.items() if not k.startswith(TAG)}
    fields["tags"] = {k.removeprefix(TAG): v for k, v in given.items() if k.startswith(TAG)}
    for name in ("options", "label"):
        if name in fields and (name == "options" or "|" in fields[name]):
            fields[name] = [part.strip() for part in fields[name].split("|")]
    return fields


def _kinds(rows: Sequence[Record]) -> list[str]:
    """How each row is answered, as it says or as the labels of those that do not say suggest.

    Yes and no are always clear. True, false, 1 and 0 may as well be answers in words: they mean yes
    and no where all labels do, and BenchmarkError is raised where some do.
    """
    said = [_said(row) for row in rows]
    forms = {i: _form(rows[i]) for i, kind in enumerate(said) if not kind}
    unclear = next((i for i, form in forms.items() if form in (WORD, DIGIT)), None)
    if unclear is not None:
        fitting = (DIGIT,) if forms[unclear] == DIGIT else (CLEAR, WORD)
        other = next((i for i, form in forms.items() if form not in fitting), None)
        if other is not None:
            raise rows[unclear].wrong(
                "label",
                f"{rows[unclear].get('label')!r} may mean yes or no, or these words, since "
                f"{rows[other].where} has {rows[other].get('label')!r}; give such rows a kind, "
                "yes/no or open",
            )
    return [kind or ("yes/no" if forms[i] else "open") for i, kind in enumerate(said)]


def _said(row: Record) -> str:
    """How a row is answered by its kind or since it has options; empty if it does not say."""
    kind = row.optional("kind").lower()
    choice = row.values.get("options") is not None
    if kind and kind not in KINDS:
        raise row.wrong("kind", f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if kind and choice != (kind == "letter"):
        why = f"has options, but is {kind!r}" if choice else "is 'letter', but has no options"
        raise row.wrong("kind", f"this row {why}; change kind or options")
    return kind or ("letter" if choice else "")


def _form(row: Record) -> str:
    """How a label spells yes or no; empty for one that does not."""
    label = row.get("label")
    if isinstance(label, bool):
        return CLEAR
    plain = str(label).strip(" .").lower() if isinstance(label, str | int | float) else ""
    return next((form for form, spellings in FORMS.items() if plain in spellings), "")


def _answers(rows: Sequence[tuple[Record, str]]) -> tuple[Answer, ...]:
    """The one set of answers of all closed rows; none if all are open."""
    first: dict[str, Record] = {}
    for row, kind in rows:
        first.setdefault(kind, row)
    if "letter" not in first:
        return YES_NO if "yes/no" in first else ()
    if "yes/no" in first:
        raise first["letter"].wrong(
            "kind",
            f"multiple choice, but {first['yes/no'].where} is yes/no; closed questions of one "
            "file share their answers: write them into two files",
        )
    return letters(max(len(_options(row)) for row, kind in rows if kind == "letter"))


def _options(row: Record) -> list[str]:
    options = [option.strip() for option in row.texts("options")]
    enough(row, "options", options)
    if not all(options):
        raise row.wrong("options", f"option {options.index('') + 1} is empty")
    return options


def _scorer(kinds: set[str]) -> str:
    rules = {"yes/no": "f1-over-splits", "letter": "accuracy"}
    return rules[next(iter(kinds))] if len(kinds) == 1 and "open" not in kinds else "exact-match"


def _examples(rows: Sequence[tuple[Record, str]]) -> Iterator[Example]:
    hashed: dict[str, str] = {}
    for row, kind in rows:
        options = _options(row) if kind == "letter" else []
        offered = tuple(range(len(options) or 2)) if kind != "open" else ()
        yield Example(
            id=row.optional("id") or _hashed(row, hashed),
            image=_image(row),
            prompt=_prompt(row, kind, options),
            label=-1 if kind == "open" else _choice(row, options) if options else _yes_no(row),
            offered=offered,
            split=row.optional("split"),
            category=row.optional("category"),
            cluster=row.optional("cluster"),
            group=row.optional("group"),
            references=_references(row) if kind == "open" else (),
            tags=_tags(row),
            where=row.where,
        )


def _image(row: Record) -> str:
    try:
        return row.file_name("image")
    except BenchmarkError as error:
        raise BenchmarkError(
            f"{error}; write paths below the file's folder, or below the one that --data names"
        ) from error


def _prompt(row: Record, kind: str, options: Sequence[str]) -> str:
    question = row.verbatim("question").strip()
    if row.optional("prompt"):
        return row.verbatim("prompt")
    return question + (option_lines(options) + OPTION_LETTER if kind == "letter" else SHORT_ANSWER)


def _hashed(row: Record, seen: dict[str, str]) -> str:
    """An id of image name and question; equal rows need ids of their own."""
    plain = sha256_of([_image(row), row.text("question")])[:16]
    if plain in seen:
        raise BenchmarkError(
            f"{row.where}: id: missing, and {seen[plain]} has the same image and question; give "
            "both an id, or remove one"
        )
    seen[plain] = row.where
    return plain


def _yes_no(row: Record) -> int:
    try:
        return yes_no(row, "label")
    except BenchmarkError as error:
        raise BenchmarkError(f"{error}; write yes or no, or set kind to open") from error


def _choice(row: Record, options: Sequence[str]) -> int:
    """Index of the right option by letter, index or words; they must not contradict each other."""
    value = row.get("label")
    if value is None or isinstance(value, list | dict):
        raise row.wrong("label", f"one of the options expected, found {value!r}")
    given = str(value).strip()
    plain = given.strip(" ().:").upper()
    readings = {i for i, option in enumerate(options) if option.lower() == given.lower()}
    readings |= {i for i, answer in enumerate(letters(len(options))) if answer.name == plain}
    if re.fullmatch(r"[0-9]{1,3}(\.0)?", given) and int(float(given)) < len(options):
        readings.add(int(float(given)))
    if len(readings) == 1:
        return readings.pop()
    named = "; ".join(f"{a.name} {o!r}" for a, o in zip(letters(26), options, strict=False))
    if not readings:
        raise row.wrong("label", f"{value!r} is not among the options of this row: {named}")
    raise row.wrong(
        "label",
        f"{value!r} may mean {len(readings)} of the options ({named}); write the letter, or the "
        "index from 0, whichever is clear",
    )


def _references(row: Record) -> tuple[str, ...]:
    """Right answers to an open question: one text or number, or a list of texts."""
    value = row.get("label")
    found = row.texts("label") if isinstance(value, list) else [_plain(row, value)]
    references = tuple(text.strip() for text in found)
    if not references or not all(references):
        raise row.wrong("label", "empty; an open question needs its right answer")
    return references


def _plain(row: Record, value: Any) -> str:
    """Text as it is, the word nan included; numbers as text."""
    return value if isinstance(value, str) else row.optional("label")


def _tags(row: Record) -> tuple[tuple[str, str], ...]:
    """Names and values in the order of the names."""
    value = row.values.get("tags")
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise row.wrong("tags", f"an object of names and texts expected, found {value!r}")
    tags = Record(f"{row.where}: tags", value)
    taken = [name for name in value if name in COLUMNS or not name.strip()]
    if taken:
        raise row.wrong("tags", f"{taken[0]!r} cannot be the name of a tag; choose another")
    return tuple((name, tags.text(name)) for name in sorted(value) if value[name] is not None)
