"""A tokenizer that splits as Llama-2's does, with the true ids of what benchmarks ask and answer.

The vocabulary itself is no part of this repository. Pieces of ``TRUE`` stand at their real ids; the
others are made up here and fill the gaps.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from tokenizers.pre_tokenizers import Metaspace
from transformers import PreTrainedTokenizerFast

SIZE = 32000
SPECIAL = ("<unk>", "<s>", "</s>")
ADDED = ("<image>", "<pad>")
BYTES = 3

TRUE = {
    # Yes and no, bare and after a blank.
    **{"▁Yes": 3869, "▁yes": 4874, "▁YES": 22483, "▁No": 1939, "▁no": 694, "▁NO": 11698},
    **{"Yes": 8241, "yes": 3582, "YES": 21143, "No": 3782, "no": 1217, "NO": 6632},
    # Options.
    **{"▁A": 319, "▁B": 350, "▁C": 315, "▁D": 360, "▁E": 382, "▁F": 383},
    **{"▁G": 402, "▁H": 379, "▁I": 306, "▁(": 313, "(": 29898, ".": 29889},
    **{"A": 29909, "B": 29933, "C": 29907, "D": 29928, "E": 29923, "F": 29943},
    **{"G": 29954, "H": 29950, "I": 29902},
    **{"▁a": 263, "▁b": 289, "▁c": 274, "▁d": 270, "▁e": 321, "▁f": 285},
    **{"a": 29874, "b": 29890, "c": 29883, "d": 29881, "e": 29872, "f": 29888},
    # The system text and the roles around a question.
    **{"▁": 29871, "▁▁": 259, "▁chat": 13563, "▁between": 1546, "▁curious": 12758},
    **{"▁user": 1404, "▁human": 5199, "▁and": 322, "▁an": 385, "▁artificial": 23116},
    **{"▁intelligence": 21082, "▁assistant": 20255, "▁The": 450, "▁gives": 4076},
    **{"▁helpful": 8444, ",": 29892, "▁detailed": 13173, "▁pol": 1248, "ite": 568},
    **{"▁answers": 6089, "▁to": 304, "▁the": 278, "'": 29915, "s": 29879, "▁questions": 5155},
    **{"▁US": 3148, "ER": 1001, ":": 29901, "SS": 1799, "IST": 9047, "ANT": 13566},
    **{"▁[": 518, "INST": 25580, "]": 29962, "/": 29914},
    # Questions and instructions.
    **{"What": 5618, "▁What": 1724, "▁is": 338, "▁in": 297, "▁this": 445, "▁image": 1967},
    **{"?": 29973, "Answer": 22550, "▁with": 411, "▁option": 2984, "▁letter": 5497},
    **{"▁from": 515, "▁given": 2183, "▁choices": 19995, "▁directly": 4153, "▁question": 1139},
}
WORDS = (
    *("Is", "Are", "Answer", "there", "are", "of", "on", "or", "how", "many", "picture", "photo"),
    *("using", "single", "word", "phrase", "please", "answer", "snow", "dining", "table", "person"),
    *("colour", "color", "shape", "object", "red", "green", "blue", "yellow", "circle", "square"),
)
BARE = ("Is", "Are", "Answer", "Please", "board")


def build_tokenizer(legacy: bool = True) -> PreTrainedTokenizerFast:
    """Llama-2's tokenizer; without ``legacy`` no blank is put in front of what follows a mark."""
    chains = [*_chains(), *_inner()]
    merges = list(dict.fromkeys(chains))
    core = Tokenizer(
        models.BPE(
            _numbered([a + b for a, b in merges]),
            merges,
            unk_token=SPECIAL[0],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if legacy:
        core.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        core.pre_tokenizer = Metaspace(replacement="▁", prepend_scheme="first", split=False)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    core.add_special_tokens([AddedToken(t, normalized=False) for t in (*SPECIAL, *ADDED)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _chains() -> Iterator[tuple[str, str]]:
    """Words after a blank, letter by letter: (▁, c), (▁c, h), (▁ch, a), (▁cha, t)."""
    for word in [*(p for p in TRUE if p[0] == "▁" and p.strip("▁")), *("▁" + w for w in WORDS)]:
        yield from ((word[:i], word[i]) for i in range(1, len(word)))


def _inner() -> Iterator[tuple[str, str]]:
    """Pieces inside of words and at the start of a line; later than every word after a blank."""
    for piece in [*(p for p in TRUE if p[0] != "▁"), *BARE]:
        yield from ((piece[:i], piece[i]) for i in range(1, len(piece)))
    yield "▁", "▁"


def _numbered(merged: list[str]) -> dict[str, int]:
    """Every piece and its id, gaps filled; ids up to 258 are special tokens and bytes."""
    known = {**dict(zip(SPECIAL, range(BYTES), strict=True)), **TRUE}
    known |= {f"<0x{byte:02X}>": BYTES + byte for byte in range(256)}
    wanted = [p for p in dict.fromkeys(merged) if p not in known]
    letters = [c for c in map(chr, range(33, 127)) if c not in known]
    taken = set(known.values())
    low = (i for i in range(BYTES + 256, SIZE) if i not in taken)
    known |= dict(zip(wanted, low, strict=False))
    high = (i for i in range(SIZE - 1, 0, -1) if i not in taken)
    known |= dict(zip(letters, high, strict=False))
    taken = set(known.values())
    known |= {f"▁piece{i}": i for i in range(SIZE) if i not in taken}
    assert sorted(known.values()) == list(range(SIZE))
    return dict(sorted(known.items(), key=lambda item: item[1]))
