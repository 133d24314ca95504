"""Published numbers: all that two papers print, and files of a reader."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from calprune.data.studies import Publication, Table, TableAxis, find_study
from calprune.data.studies._numbers import Number, Numbers, Printed, numbers
from calprune.errors import IncompleteError, PlanError

STUDIES = ("calibration", "gap-power", "scope-appendix")
FILES = [find_study(name).numbers for name in STUDIES]
HEADER = "study,table,row,column,value\n"
SIX = {f"table-6-{b}": 6 for b in find_study("gap-power").benchmarks}
COUNTS = {
    # 5 rows of 6 and two intervals; 9 of 2; 10 of 4 and two deviations; 5 of 4; 2 of 3; 2 + 2 + 5
    "calibration": {
        "table-1": 34,
        "table-2": 18,
        "table-3": 42,
        "table-4": 20,
        "figure-2": 9,
        "figure-2-b": 12,
        "figure-3": 10,
        "figure-3-b": 4,
        "splits": 6,
        "sections-4.6-4.8": 9,
    },
    # 7 budgets of 5; 7 benchmarks of 2 budgets of 3; 7 budgets of 3
    "gap-power": {"table-5": 35, **SIX, "figure-4-mme": 21},
    # 7 rows of 8 scores, 6 of 8 percentages, 7 averages; 8, 7 and 8 of the same
    "scope-appendix": {"table-1": 111, "table-2": 128},
}
PRINTED = [
    ("calibration", "table-1", "576", "ECE", ".041 [.035, .048]"),
    ("calibration", "table-1", "128", "ECE", ".024 [.018, .030]"),
    ("calibration", "table-1", "32", "AURC", ".064"),
    ("calibration", "table-2", "alpha = 0.5, K = 192", "acc", "87.5"),
    ("calibration", "table-2", "alpha = 0, K = 128", "ECE", ".016"),
    ("calibration", "table-3", "SCOPE alpha = 0, K = 64", "overconf.", "+2.4"),
    ("calibration", "table-3", "SCOPE alpha = 0, K = 128", "Brier", ".094"),
    ("calibration", "table-3", "random, K = 128", "acc", "83.6 +- 0.2"),
    ("calibration", "table-3", "random, K = 128", "ECE", ".046 +- .002"),
    ("calibration", "table-3", "FastV, K = 128", "ECE", ".326"),
    ("calibration", "table-4", "32", "confidence", "81.3"),
    ("calibration", "table-4", "128", "overconf.", "+17.0"),
    ("calibration", "figure-2", "alpha = 0", "K = 128", ".016"),
    ("calibration", "figure-2-b", "saliency, K = 128", "ECE", ".051"),
    ("calibration", "figure-2-b", "full", "ECE", ".041"),
    ("calibration", "figure-3", "32", "acc", "82.7"),
    ("calibration", "figure-3-b", "random, K = 64", "ECE", ".069"),
    ("calibration", "splits", "576", "adversarial", ".037"),
    ("calibration", "splits", "128", "popular", ".021"),
    ("calibration", "sections-4.6-4.8", "128", "ECE, 5-fold T", ".012"),
    ("calibration", "sections-4.6-4.8", "576", "ECE, 5-fold T", ".017"),
    ("calibration", "sections-4.6-4.8", "128", "acc at 80 % coverage", "94.2"),
    ("gap-power", "table-5", "K = 256", "SCOPE", "1769"),
    ("gap-power", "table-5", "K = 48", "p = 2", "1668"),
    ("gap-power", "table-6-mme", "K = 64", "change", "+21"),
    ("gap-power", "table-6-mmbench", "K = 64", "p = 1.5", "61.0"),
    ("gap-power", "table-6-gqa", "K = 192", "SCOPE", "60.1"),
    ("gap-power", "figure-4-mme", "K = 256", "p = 2", "+17"),
    ("scope-appendix", "table-1", "SCOPE, K = 192", "mm-vet", "39.4"),
    ("scope-appendix", "table-1", "VisionZip, K = 192, percent", "mm-vet", "106.20"),
    ("scope-appendix", "table-1", "VisionZip, K = 128, percent", "avg", "97.0"),
    ("scope-appendix", "table-2", "vanilla 7B", "mme", "1842"),
    ("scope-appendix", "table-2", "vanilla 7B, percent", "avg", "97.2"),
    ("scope-appendix", "table-2", "SCOPE, K = 160, percent", "mmmu", "98.3"),
]


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_the_papers_comes_with_its_source(name: str) -> None:
    known = numbers(find_study(name))
    assert Counter(table for table, _, _ in known.places) == COUNTS[name]
    assert all(n.source.startswith(find_study(name).paper) for n in known.places.values())


@pytest.mark.parametrize(("name", "table", "row", "column", "text"), PRINTED)
def test_numbers_stand_as_they_are_printed(
    name: str, table: str, row: str, column: str, text: str
) -> None:
    assert numbers(find_study(name)).at(table, row, column).text == text


def test_only_what_the_papers_lack_is_not_at_hand() -> None:
    """Other budgets than two in sections 4.7 and 4.8, and a figure without numbers."""
    lacking = []
    for study in map(find_study, STUDIES):
        known = numbers(study)
        for table in study.tables:
            places = [(r, c) for r in table.rows for c in table.columns if table.has(r, c)]
            lacking += [
                (table.name, r.label, c.label)
                for r, c in places
                if known.at(table.name, r.label, c.label).number is None
            ]
    beyond = [p for p in lacking if p[0] != "figure-1"]
    columns = ("ECE, 5-fold T", "acc at 80 % coverage")
    assert beyond == [("sections-4.6-4.8", k, c) for k in ("192", "64", "32") for c in columns]
    assert len(lacking) - len(beyond) == 5 * 8


def test_an_average_is_the_mean_of_its_row_but_for_two_that_are_noted() -> None:
    study = find_study("scope-appendix")
    known, odd = numbers(study), {}
    for table in study.tables[:2]:
        for row in (r for r in table.rows if r.percent_of and (r.model or r.select != "full")):
            own = [known.at(table.name, row.label, c.label) for c in table.columns]
            *percent, mean = [p.number for p in own if p.number]
            assert len(percent) == 8
            off = sum(n.value for n in percent) / 8 - mean.value
            if abs(off) > 0.0501:
                odd[table.name, row.label] = mean.note
    assert list(odd) == [("table-1", f"VisionZip, K = {k}, percent") for k in (128, 64)]
    notes = list(odd.values())
    assert "97.0 is printed" in notes[0]
    assert "98.02" in notes[0]
    assert "93.7 is printed" in notes[1]
    assert "93.41" in notes[1]


def test_figures_repeat_the_tables_that_they_draw() -> None:
    known = numbers(find_study("calibration")).places
    for (table, row, column), number in known.items():
        drawn = {"figure-2": "table-2", "figure-2-b": "table-2", "figure-3": "table-1"}
        if table == "figure-2":
            assert number.text == known["table-2", f"{row}, {column}", "ECE"].text
        elif table == "figure-3-b" or (table == "figure-2-b" and "alpha" not in row):
            assert number.text == known["table-3", row, column].text
        elif table in drawn:
            assert number.text == known[drawn[table], row, column].text


@pytest.mark.parametrize("name", STUDIES)
def test_files_of_all_studies_are_accepted_whole(name: str) -> None:
    """The files that come with the package have a reader's format."""
    study = find_study(name)
    own, again = numbers(study), numbers(study, FILES)
    assert again.unused == ()
    assert again.places == own.places
    lines = FILES[STUDIES.index(name)].read_text(encoding="utf-8").count("\n") - 1
    assert len(own.places) == lines == sum(COUNTS[name].values())


def test_an_unknown_place_is_told_with_the_nearest_and_the_rest_is_used(tmp_path: Path) -> None:
    file = tmp_path / "more.csv"
    file.write_text(
        HEADER.replace("value", "value,unit,note")
        + "calibration,table-1,576,acc,87.3,percent,mine\n"
        + "calibration,table1,576,acc,1,,\n"
        + "calibration,table-1,575,acc,1,,\n"
        + 'calibration,table-2,"alpha = 1, K = 64",EC,1,,\n'
        + "calibratoin,table-1,576,acc,1,,\n"
        + "calibration,table-1,576,Brier,9.9,percent,\n"
        + "calibration,figure-3-c-d,576,bin,1,,\n"
        + "scope-appendix,table-1,upper bound,avg,100,,\n"
        + "calibration,table-1,192,ECE low,.020,,\n"
    )
    known = numbers(find_study("calibration"), file)
    assert known.at("table-1", "576", "acc").number == Number("87.3", f"{file}, line 2", "mine")
    assert known.at("table-1", "192", "ECE").text == ".027 [.020, -]"
    assert known.at("table-1", "576", "Brier").text == ".099"
    start = [f"{file}, line {n} is not used: " for n in range(3, 10)]
    assert [text.startswith(s) for text, s in zip(known.unused, start, strict=True)] == [True] * 7
    said = [text.removeprefix(s) for text, s in zip(known.unused, start, strict=True)]
    assert said[0] == "calibration has no table 'table1'; the nearest is 'table-1'"
    assert said[1] == "table-1 of calibration has no row '575'; the nearest is '576'"
    assert said[2].endswith("of table-2 of calibration has no column 'EC'; the nearest is 'ECE'")
    assert "did you mean calibration?" in said[3]
    assert said[4] == "table-1, 576, Brier is printed in the unit 'plain', not 'percent'"
    assert said[5].endswith("has no column 'bin'; it has none")
    assert said[6].endswith("has no column 'avg'; the nearest is 'gqa'")


def test_many_unknown_places_are_told_in_few_lines(tmp_path: Path) -> None:
    file = tmp_path / "more.csv"
    file.write_text(HEADER + "calibration,table-1,nix,acc,1\n" * 500)
    told = numbers(find_study("calibration"), [file]).unused
    assert len(told) == 21
    assert told[-1] == f"{file}: 480 more lines are not used"


def test_a_file_about_other_studies_alone_is_told() -> None:
    (told,) = numbers(find_study("calibration"), FILES[1:]).unused
    assert told == f"{FILES[1]}, {FILES[2]}: no line is about calibration"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study,table,row,column\n", "no column value"),
        (HEADER + "calibration,table-1,576,ECE,x\n", "line 2: 'x' is no number"),
        (HEADER + "calibration,table-1,576,ECE,nan\n", "no number"),
        (HEADER + "calibration,table-1,576,ECE,1e3\n", "no number"),
        (HEADER + "calibration,table-1,576,ECE,1\n" * 2, "line 3: .* stands there twice"),
    ],
)
def test_bad_files_of_numbers(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "more.csv"
    file.write_text(text)
    with pytest.raises(PlanError, match=message):
        numbers(find_study("calibration"), file)
    with pytest.raises(IncompleteError, match="cannot be read"):
        numbers(find_study("calibration"), tmp_path / "none.csv")


def test_a_place_in_two_files_is_refused(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        file.write_text(HEADER + "calibration,table-1,576,ECE,.04\n")
    with pytest.raises(PlanError, match=r"b\.csv: table-1, 576, ECE stands in another file, too"):
        numbers(find_study("calibration"), files)


def test_a_studys_own_file_must_fit_it(tmp_path: Path) -> None:
    """That of a plug-in needs no column study."""
    file = tmp_path / "own.csv"
    table = Table("t", "T", "m", "pope", (TableAxis("r", "full"),), (TableAxis("c", metric="ece"),))
    study = Publication("mine", "Mine", "paper", (), (table,), file)
    file.write_text("table,row,column,value,source\nt,r,c,.1,here\n")
    assert numbers(study) == Numbers({("t", "r", "c"): Number(".1", "here")})
    file.write_text("table,row,column,value,source\nt,r,d,.1,here\n")
    with pytest.raises(PlanError, match="line 2: row 'r' of t of mine has no column 'd'"):
        numbers(study)
    file.write_text("table,row,column,value,source\nt,r,c,.1,\n")
    with pytest.raises(PlanError, match="line 2: a published number needs a source"):
        numbers(study)


def test_what_stands_beside_a_number() -> None:
    a, b = Number("1.0", "s", "odd"), Number(".5", "s", "odd")
    assert Printed(a, sd=b).text == "1.0 +- .5"
    assert Printed(low=b).text == "[.5, -]"
    assert Printed(a, sd=b).notes == ("odd",)
    assert not Printed().text
