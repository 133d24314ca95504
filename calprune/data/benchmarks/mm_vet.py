"""``mm-vet``: MM-Vet.

Yu et al., "MM-Vet: Evaluating Large Multimodal Models for Integrated Capabilities" (ICML 2024);
mm-vet.json of yuweihao/MM-Vet, or the table of lmms-lab/MMVet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.parquet import Shards
from calprune.data.sources.pictures import Pictures
from calprune.data.sources.records import Record, json_file, json_rows

__all__ = ["MmVet"]

CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")
SCORER = "judged"
# published runs, LLaVA's and those of lmms-eval, allow 1,024
REPLY_TOKENS = 512


class MmVet(Released):
    """218 questions about 200 images, answered freely; a judge grades the replies.

    Every question takes one or more of six capabilities.
    """

    title = "MM-Vet: free answers that take several capabilities, graded by a judge"
    kind = "open"
    licence = "code Apache-2.0, data CC BY-NC 4.0"
    origin = "github yuweihao/MM-Vet; hub lmms-lab/MMVet"
    name = "mm-vet"
    layout = "mm-vet.json and the images in a sub-folder images/"
    marks: ClassVar[tuple[str, ...]] = ("mm-vet.json", "images")
    tables: ClassVar[Mapping[str, HubTable]] = {"rows": HubTable(lmms_lab("MMVet"))}
    published = Published(
        rows=218,
        images=200,
        counts={
            "rec=yes": 150,
            "ocr=yes": 96,
            "know=yes": 84,
            "gen=yes": 80,
            "spat=yes": 75,
            "math=yes": 26,
            "category=rec+know+gen": 62,
            "category=rec": 37,
            "category=ocr+spat": 26,
            "category=ocr+spat+math": 14,
            "category=rec+spat": 12,
            "category=ocr": 12,
        },
    )

    def official(self, root: Path) -> OpenedBenchmark:
        """One JSON object of questions by id."""
        path = root / self.marks[0]
        rows = json_rows(path, json_file(path))
        return OpenedBenchmark(
            answers=(),
            examples=(
                _example(r, r.text("id"), r.file_name("imagename"), r.texts("capability"))
                for r in rows
            ),
            picture=Pictures(root / "images"),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            layout="official",
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table; two questions about one picture carry it twice."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=(),
            examples=_table(shards, images),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            layout="parquet",
        )


def _table(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    for row in shards.rows(("question_id", "question", "answer", "capability")):
        name = row.text("question_id")
        images[name] = row.at
        yield _example(row, name, name, row.text("capability").split(","))


def _example(row: Record, name: str, image: str, capabilities: Sequence[str]) -> Example:
    named = {capability.strip() for capability in capabilities}
    if not named or named - set(CAPABILITIES):
        raise row.wrong(
            "capability", f"{', '.join(sorted(named))!r}: some of {', '.join(CAPABILITIES)} wanted"
        )
    return Example(
        id=name,
        image=image,
        prompt=row.verbatim("question"),
        category="+".join(c for c in CAPABILITIES if c in named),
        references=(row.verbatim("answer"),),
        tags=tuple((c, "yes" if c in named else "no") for c in CAPABILITIES),
        where=row.where,
    )
