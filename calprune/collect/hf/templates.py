"""Conversation templates: from a question to the token ids around the image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

from calprune import registry
from calprune.collect.adapter import Prompt
from calprune.collect.hf.checkpoint import Checkpoint, one_line
from calprune.collect.hf.template_texts import CHAT, TEMPLATES
from calprune.data.benchmark import Answer
from calprune.errors import ModelError, PlanError

IMAGE = "<image>"
LLAMA_2_US = 3148  # the piece with which "USER" begins
PATIENCE = 10.0  # seconds for one prompt
_MARK = "\x00question\x00"


@dataclass(frozen=True)
class Conversation:
    """One way to ask one model.

    ``vicuna_v1`` and ``mistral_instruct`` tokenise the text before and after the image apart, as
    the original code does, so that a question begins with the blank piece; ``hf`` renders the
    checkpoint's own chat template and tokenises it in one go, as transformers does.
    """

    checkpoint: Checkpoint
    image_id: int
    name: str

    @property
    def rendered(self) -> str:
        """The prompt with the image mark and ``{question}``."""
        if self.name != CHAT:
            before, after = TEMPLATES[self.name]
            return before + IMAGE + after
        return self._chat(_MARK).replace(_MARK, "{question}")

    def prompt(self, question: str, answer: str = "") -> Prompt:
        """Ids before and after the image, an answer's beginning included.

        Raises PlanError if the question holds an image mark itself.
        """
        tokenizer = self.checkpoint.tokenizer
        if self.name != CHAT:
            before, after = TEMPLATES[self.name]
            if IMAGE in question:
                raise PlanError(f"a question holds an image mark of its own: {question[:60]!r}")
            suffix = _ids(tokenizer, after.replace("{question}", question) + answer)
            start = int(suffix[:1] == [tokenizer.bos_token_id])
            return Prompt(tuple(_ids(tokenizer, before)), tuple(suffix[start:]))
        ids = _ids(tokenizer, self._chat(question) + answer)
        if self.image_id not in ids:
            raise ModelError(
                f"{self.checkpoint.folder}: its template or tokenizer drops the image mark"
            )
        if ids.count(self.image_id) != 1:
            raise PlanError(f"a question holds an image mark of its own: {question[:60]!r}")
        at = ids.index(self.image_id)
        return Prompt(tuple(ids[:at]), tuple(ids[at + 1 :]))

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        """First token ids of the spellings after the template; disjoint between answers."""
        bare, unknown = self.prompt("?").suffix, self.checkpoint.tokenizer.unk_token_id
        blank = "" if self.rendered[-1:].isspace() else " "
        found = []
        for answer in answers:
            ids: list[int] = []
            for spelling in answer.spellings:
                spelled = self.prompt("?", blank + spelling).suffix
                differ = (b for a, b in zip([*bare, None], spelled, strict=False) if a != b)
                token = next(differ, unknown)
                if token is not None and token != unknown and token not in ids:
                    ids.append(token)
            if not ids:
                raise ModelError(
                    f"{self.checkpoint.name}: its vocabulary has no token for {answer.name!r}"
                )
            found.append(tuple(ids))
        every = [i for ids in found for i in ids]
        if len(set(every)) != len(every):
            pairs = {a.name: ids for a, ids in zip(answers, found, strict=True)}
            raise ModelError(
                f"{self.checkpoint.name}: two answers begin with the same token, so that their "
                f"first logits cannot tell them apart: {pairs}"
            )
        return tuple(found)

    def _chat(self, question: str) -> str:
        template = self.checkpoint.chat_template
        if not template:
            raise ModelError(
                f"{self.checkpoint.folder}: no chat template in it; name one of "
                f"{', '.join(TEMPLATES)} with --template"
            )
        content = [{"type": "image"}, {"type": "text", "text": question}]
        try:
            text = self.checkpoint.tokenizer.apply_chat_template(
                [{"role": "user", "content": content}],
                chat_template=template,
                add_generation_prompt=True,
                tokenize=False,
            )
        except Exception as error:  # a template is code of strangers
            raise ModelError(
                f"{self.checkpoint.folder}: no usable chat template ({one_line(error)})"
            ) from error
        return str(text)


def converse(checkpoint: Checkpoint, image_id: int, name: str, default: str) -> Conversation:
    """The conversation by name; for an empty name ``default``, or the checkpoint's own.

    ``vicuna_v1`` belongs to Llama-2's vocabulary: a decoder with another one was tuned on other
    words, which its chat template has.
    """
    known = (*TEMPLATES, CHAT)
    if name and name not in known:
        raise PlanError(registry.unknown("template", name, known))
    if not name:
        vicuna = checkpoint.tokenizer.convert_tokens_to_ids("▁US") == LLAMA_2_US
        name = default if vicuna or default != "vicuna_v1" else CHAT
    found = Conversation(checkpoint, image_id, name)
    if name == CHAT:
        _ends(found)
    return found


def _ends(conversation: Conversation) -> None:
    """ModelError if its template is not rendered in time: it may loop for ever.

    Whatever still runs then is left to end with the process.
    """
    done: Future[str] = Future()

    def render() -> None:
        try:
            done.set_result(conversation.rendered)
        except BaseException as error:
            done.set_exception(error)

    Thread(target=render, daemon=True).start()
    try:
        done.result(PATIENCE)
    except TimeoutError as error:
        raise ModelError(
            f"{conversation.checkpoint.folder}: its chat template is not rendered within "
            f"{PATIENCE:g} seconds; name one of {', '.join(TEMPLATES)} with --template"
        ) from error


def _ids(tokenizer: Any, text: str) -> list[int]:
    return [int(i) for i in tokenizer(text)["input_ids"]]
