"""From questions to token ids, on a tokenizer with Llama-2's true ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoProcessor

from calprune.collect import run
from calprune.collect.hf import templates
from calprune.collect.models import ModelOptions, open_adapter
from calprune.data.benchmark import YES_NO, Answer
from calprune.errors import ModelError, PlanError
from tests.collect.checkpoints import save_checkpoint

QUESTION = "Is there a snowboard in the image?\nAnswer the question using a single word or phrase."
LETTERS = tuple(Answer(x, (x,)) for x in "ABCDE")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("templates")
    return {
        "vicuna": save_checkpoint(root / "vicuna"),
        "blankless": save_checkpoint(root / "blankless", legacy=False),
        "mistral": save_checkpoint(root / "mistral", family="llava_next", text="mistral"),
    }


@pytest.mark.parametrize("name", ["vicuna", "blankless"])
def test_vicuna_v1_is_the_original_codes_prompt(folders: dict[str, Path], name: str) -> None:
    """35 ids before the image; the text after it begins with the blank piece and a newline."""
    adapter = open_adapter(str(folders[name]))
    prompt = adapter.prompt(QUESTION)
    assert len(prompt.prefix) == 35
    assert prompt.prefix[0] == 1
    assert prompt.prefix[-4:] == (3148, 1001, 29901, 29871)
    assert prompt.suffix[:2] == (29871, 13)
    assert prompt.suffix[-5:] == (319, 1799, 9047, 13566, 29901)
    assert 1 not in prompt.suffix
    assert adapter.template().startswith("vicuna_v1: A chat between a curious user")


def test_answers_are_the_pieces_with_a_leading_blank(folders: dict[str, Path]) -> None:
    adapter = open_adapter(str(folders["vicuna"]))
    assert adapter.first(YES_NO) == ((3869, 4874), (1939, 694))
    assert adapter.first(LETTERS) == ((319,), (350,), (315,), (360,), (382,))


@pytest.mark.parametrize("name", ["vicuna", "blankless", "mistral"])
def test_the_chat_template_is_tokenised_as_transformers_does(
    folders: dict[str, Path], name: str
) -> None:
    adapter = open_adapter(str(folders[name]), ModelOptions(template="hf"))
    processor = AutoProcessor.from_pretrained(folders[name])
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    ids = processor.tokenizer(text)["input_ids"]
    at = ids.index(32000)
    prompt = adapter.prompt(QUESTION)
    assert [*prompt.prefix] == ids[:at]
    assert [*prompt.suffix] == ids[at + 1 :]
    assert adapter.first(YES_NO)[0][0] == 3869
    assert adapter.template().startswith("hf: ")


def test_mistral_is_asked_in_its_own_words(folders: dict[str, Path]) -> None:
    adapter = open_adapter(str(folders["mistral"]))
    assert adapter.template() == "mistral_instruct: [INST] <image>\n{question} [/INST]"
    assert adapter.prompt(QUESTION).prefix[0] == 1
    assert adapter.first(YES_NO) == ((3869, 4874), (1939, 694))


def test_other_templates_are_other_conditions(folders: dict[str, Path]) -> None:
    one, other = (
        open_adapter(str(folders["vicuna"]), ModelOptions(template=t)) for t in ("vicuna_v1", "hf")
    )
    assert one.template() != other.template()
    assert one.digest == other.digest
    with pytest.raises(PlanError, match=r"template 'vicuna'.*vicuna_v1"):
        open_adapter(str(folders["vicuna"]), ModelOptions(template="vicuna"))


@pytest.mark.parametrize("template", ["vicuna_v1", "hf"])
def test_a_question_cannot_smuggle_in_an_image(folders: dict[str, Path], template: str) -> None:
    adapter = open_adapter(str(folders["vicuna"]), ModelOptions(template=template))
    with pytest.raises(PlanError, match="image mark"):
        adapter.prompt("what is <image> here?")


def test_answers_that_begin_alike_are_refused(folders: dict[str, Path]) -> None:
    adapter = open_adapter(str(folders["vicuna"]))
    with pytest.raises(ModelError, match=r"cannot tell them apart.*'yes': \(3869,\)"):
        adapter.first((Answer("yes", ("Yes",)), Answer("yes indeed", ("Yes, indeed",))))


def test_vicuna_v1_is_no_default_for_other_vocabularies(tmp_path: Path) -> None:
    """LLaVA-1.6-34B and llama3-llava-next are Llama decoders too, tuned on other words."""
    folder = save_checkpoint(tmp_path / "other")
    core = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = core["model"]["vocab"]
    vocabulary["▁US"], vocabulary["▁chat"] = vocabulary["▁chat"], vocabulary["▁US"]
    (folder / "tokenizer.json").write_text(json.dumps(core))
    assert open_adapter(str(folder)).template().startswith("hf: ")
    asked = open_adapter(str(folder), ModelOptions(template="vicuna_v1"))
    assert asked.template().startswith("vicuna_v1: ")


def test_a_question_before_the_image_is_refused_even_if_it_is_the_only_one(
    tmp_path: Path,
) -> None:
    folder = save_checkpoint(
        tmp_path / "turned", template="{{ messages[0]['content'][1]['text'] }} <image> ASSISTANT:"
    )
    with pytest.raises(PlanError, match="puts the question before the image"):
        run.prepare("shapes-mc", model=str(folder), images=1, template="hf", select="full")


def test_without_a_chat_template(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "plain")
    (folder / "chat_template.json").unlink()
    assert len(open_adapter(str(folder)).prompt("x").prefix) == 35
    with pytest.raises(ModelError, match="no chat template"):
        open_adapter(str(folder), ModelOptions(template="hf")).prompt("x")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ range(10**9) | list }}<image>", "Range too big"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "recursion"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}<image>", "recursion"),
        ("{{ 1 // 0 }}", "by zero"),
        ("{{ nothing.of.it }}", "'nothing' is undefined"),
        ("{% for %}", "Expected an expression"),
    ],
)
def test_templates_that_cannot_be_rendered(tmp_path: Path, template: str, message: str) -> None:
    folder = save_checkpoint(tmp_path / "spoilt", template=template)
    with pytest.raises(ModelError, match=f"spoilt: no usable chat template .*{message}") as caught:
        open_adapter(str(folder), ModelOptions(template="hf"))
    assert "\n" not in str(caught.value)


def test_a_template_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original prompt needs no template, and does not wait for it."""
    monkeypatch.setattr(templates, "PATIENCE", 0.2)
    loop = "{% for i in range(99999) %}{% for j in range(30) %}{% endfor %}{% endfor %}<image>"
    folder = save_checkpoint(tmp_path / "loop", template=loop)
    assert len(open_adapter(str(folder)).prompt("x").prefix) == 35
    with pytest.raises(ModelError, match=r"loop: its chat template is not rendered within 0\.2 s"):
        open_adapter(str(folder), ModelOptions(template="hf"))
