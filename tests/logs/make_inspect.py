"""Logs of inspect_ai: a local model with log-probabilities; choices by a mock, in two epochs."""

import json
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import choice, match
from inspect_ai.solver import generate, multiple_choice

lines = Path("questions.jsonl").read_text().splitlines()
questions = [json.loads(line) for line in lines]
said = [
    Sample(id=q["id"], input=q["question"], target=q["said"], metadata={"image": q["image"]})
    for q in questions
]
config = GenerateConfig(max_tokens=4, temperature=0.001, logprobs=True, top_logprobs=3, seed=1)
model = get_model("hf/tiny", config=config, model_path="tiny-random", device="cpu")
local = Task(dataset=said, solver=generate(), scorer=match(location="begin"), name="tiny_words")
eval(local, model=model, log_dir="inspect", display="none")

letters = [
    Sample(id=q["id"], input=q["question"], choices=q["options"], target="AB"[q["label"]])
    for q in questions
]
replies = ["ANSWER: A", "ANSWER: A", "ANSWER: B", "ANSWER: B", "I cannot say."]
outputs = [ModelOutput.from_content("mockllm/model", replies[i % 5]) for i in range(16)]
for output in outputs:  # else a tokenizer is fetched to count tokens
    output.usage = ModelUsage(input_tokens=9, output_tokens=3, total_tokens=12)
chosen = Task(dataset=letters, solver=multiple_choice(), scorer=choice(), name="tiny_choice")
eval(
    chosen,
    model=get_model("mockllm/model", custom_outputs=outputs),
    epochs=2,
    log_dir="inspect",
    display="none",
)
