"""Which of the hub's files belong to a benchmark, what of them is here, and fetching the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from calprune.data.benchmarks.pope import Pope
from calprune.data.sources.hub import HubTable, belonging, local_tables
from calprune.errors import BenchmarkError

PART = Pope.tables["rows"]
FIRST, SECOND = "test-00000-of-00002-0a1b2c3d.parquet", "test-00001-of-00002-4e5f6a7b.parquet"
FILES = (
    "README.md",
    "Full/random-00000-of-00001.parquet",
    "data/test-00000-of-00002.parquet",
    "data/test-00001-of-00002.parquet",
    "data/train-00000-of-00001.parquet",
    "data/testmini-00000-of-00001.parquet",
    "en/test-00000-of-00001.parquet",
)
DATA = ["data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet"]
EN = ["en/test-00000-of-00001.parquet"]


def of_card(files: object, **more: object) -> dict[str, object]:
    return {"configs": [{"config_name": "default", "data_files": files, **more}]}


# --- which files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    [
        None,
        {},
        {"configs": None},
        {"configs": "default"},
        {"configs": ["default", 7]},
        {"configs": {"config_name": "default", "data_files": "data/test-*"}},
        of_card([{"split": "test", "path": "data/test-*"}]),
        of_card([{"split": "test", "path": "./data/test-*"}, {"split": "train", "path": "*"}]),
        of_card([{"split": "test", "path": ["data/test-00000-*", "data/test-0000[1-9]-*"]}]),
        of_card([{"split": "test", "path": "data/test-0000?-of-*.parquet"}]),
        of_card([{"split": "test"}, {"path": "data/train-*"}, 7]),
        of_card([{"split": "test", "path": "moved/test-*"}]),
        of_card({"test": "data/test-*", "train": "data/train-*"}),
        of_card({"test": ["data/test-*"]}),
        of_card("data/test-*"),
        of_card("data/*.parquet"),
        of_card(["data/train-*", "data/test-*"]),
        of_card(None, data_dir="data"),
        of_card([{"split": "test", "path": "test-*"}], data_dir="./data"),
        {"configs": [{"data_files": [{"split": "test", "path": "data/test-*"}]}]},
        {"configs": [{"config_name": "en", "data_files": [{"split": "test", "path": "en/*"}]}]},
    ],
)
def test_cards_in_all_forms(card: dict[str, object] | None) -> None:
    assert belonging(FILES, card, HubTable(("x/y",))) == DATA


@pytest.mark.parametrize(
    "card",
    [
        None,
        {"configs": [{"config_name": "en", "data_files": [{"split": "test", "path": "en/**"}]}]},
        {"configs": [{"config_name": "en", "data_dir": "en"}]},
    ],
)
def test_a_configuration_by_its_card_or_its_folder(card: dict[str, object] | None) -> None:
    assert belonging(FILES, card, HubTable(("x/y",), "en")) == EN
    assert belonging(FILES, card, HubTable(("x/y",), "fr")) == []


def test_every_configuration() -> None:
    files = [{"split": "validation", "path": "{}/validation-*"}]
    names = ("Art", "Music")
    card = {
        "configs": [
            {"config_name": n, "data_files": [{**files[0], "path": f"{n}/validation-*"}]}
            for n in names
        ]
    }
    there = [f"{n}/{s}-00000-of-00001.parquet" for n in names for s in ("dev", "validation")]
    for given in (card, None):
        part = HubTable(("x/y",), "*", "validation")
        assert belonging(there, given, part) == [there[1], there[3]]


def test_a_star_stays_in_its_folder() -> None:
    files = ["test-a.parquet", "old/test-b.parquet", "old/er/test-c.parquet"]
    for pattern, found in (
        ("test-*", files[:1]),
        ("*/test-*", files[1:2]),
        ("**/test-*", sorted(files)),
        ("old/**", sorted(files[1:])),
        ("**", sorted(files)),
        ("[!x]est-?.parquet", files[:1]),
        ("[z-a]", []),
        ("test-[", []),
    ):
        card = of_card([{"split": "test", "path": pattern}])
        assert belonging(files, card, HubTable(("x/y",))) == (found or files[:1]), pattern


def test_without_a_card_the_usual_folder_is_preferred() -> None:
    part = HubTable(("x/y",))
    assert belonging(["my/test-00000-of-00001.parquet"], None, part) == [
        "my/test-00000-of-00001.parquet"
    ]
    assert belonging(["x/test.parquet", "test.parquet"], None, part) == ["test.parquet"]


# --- what is here -------------------------------------------------------------------------------


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.mark.parametrize("card", ["", "---\nconfigs: [\n---\n", "---\n7\n---\n", "\udcff"])
def test_cards_that_cannot_be_read(tmp_path: Path, card: str) -> None:
    touch(tmp_path, *DATA, ".cache/huggingface/test-00000-of-00009.parquet")
    (tmp_path / "README.md").write_text(card, encoding="utf-8", errors="surrogateescape")
    found = local_tables(tmp_path, {"rows": PART})
    assert found == {"rows": [tmp_path / f for f in DATA]}


def test_no_part_of_a_series_is_taken_for_the_whole(tmp_path: Path) -> None:
    touch(tmp_path, "data/test-00000-of-00003.parquet", "data/test-00002-of-00003.parquet")
    with pytest.raises(
        BenchmarkError, match=r"2 of the 3 files data/test-\*-of-00003.*interrupted"
    ):
        local_tables(tmp_path, {"rows": PART})
    touch(tmp_path, "data/test-00003-of-00003.parquet")
    (tmp_path / "data" / "test-00001-of-00003.parquet").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BenchmarkError, match="2 of the 3 files"):
        local_tables(tmp_path, {"rows": PART})


def test_no_part_of_the_configurations_is_taken_for_all(tmp_path: Path) -> None:
    part = HubTable(("x/y",), "*", "validation")
    touch(tmp_path, "Art/validation-00000-of-00001.parquet")
    configs = [
        f"- config_name: {n}\n  data_files:\n  - split: validation\n    path: {n}/validation-*\n"
        for n in ("Art", "Music")
    ]
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{''.join(configs)}---\n# Text\n")
    with pytest.raises(BenchmarkError, match=r"nothing is there of Music/validation-\*"):
        local_tables(tmp_path, {"rows": part})
    touch(tmp_path, "Music/validation-00000-of-00001.parquet")
    assert local_tables(tmp_path, {"rows": part})


@pytest.mark.parametrize("other", ["00002-of-00003", "00000-of-00002-ffffffff", "00000-of-00001"])
def test_two_releases_in_one_folder_are_not_mixed(tmp_path: Path, other: str) -> None:
    touch(tmp_path, *DATA, f"data/test-{other}.parquet")
    with pytest.raises(BenchmarkError, match=r"data/test-\* are of two releases"):
        local_tables(tmp_path, {"rows": PART})


def test_all_parts_or_none(tmp_path: Path) -> None:
    touch(tmp_path, *DATA)
    assert local_tables(tmp_path, {"rows": PART, "images": HubTable(("x/y",), "images")}) is None
    assert local_tables(tmp_path, {}) is None
