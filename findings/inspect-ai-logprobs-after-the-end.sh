#!/usr/bin/env bash
# inspect-ai 0.3.285, provider hf: log-probabilities go on after a reply has ended.
#
# Behaviour: the provider asks a batch of prompts of a local model at once. Where one reply ends
# before the longest of its batch, its text stops at the end token, but its log-probabilities, and
# the count of its output tokens, are those of the whole width of the batch: after the end token
# stand padding tokens, each with the log-probability that the model gave to it there.
#
# Why it matters: confidence of a reply is a mean, a product or a minimum over its tokens. Taken
# over what the log holds, it depends on which other questions were in the batch. Whoever reads such
# a log has to stop at the end token.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq inspect-ai==0.3.285 torch==2.13.0 \
    transformers==5.24.0 accelerate==1.15.0
cd "$folder"
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
export INSPECT_DISABLE_MODEL_API_UPDATE_CHECK=1
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import generate
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

END = "<|endoftext|>"
letters = [chr(i) for i in range(32, 127)] + ["\n"]
vocabulary = {END: 0} | {letter: i + 1 for i, letter in enumerate(letters)}
tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
tokenizer.decoder = decoders.Fuse()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
fast.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
fast.save_pretrained("tiny")
torch.manual_seed(5)
config = GPT2Config(
    vocab_size=len(vocabulary), n_positions=128, n_embd=16, n_layer=1, n_head=2,
    bos_token_id=0, eos_token_id=0, initializer_range=1.0,
)
GPT2LMHeadModel(config).save_pretrained("tiny")

asked = GenerateConfig(max_tokens=40, temperature=2.0, logprobs=True, top_logprobs=1, seed=1)
model = get_model("hf/tiny", config=asked, model_path="tiny", device="cpu")
samples = [Sample(id=i, input=f"Question {i}: yes or no?") for i in range(24)]
(log,) = eval(Task(dataset=samples, solver=generate()), model=model, log_dir="logs", display="none")
longer = 0
for sample in log.samples:
    tokens = [one.token for one in sample.output.choices[0].logprobs.content]
    if END in tokens[:-1]:
        longer += 1
        end = tokens.index(END)
        if longer <= 3:
            print(
                f"completion {sample.output.completion!r} ends after {end} tokens; log-probabilities "
                f"of {len(tokens)}, {len(tokens) - end - 1} of them after the end token"
            )
print(f"{longer} of {len(log.samples)} replies have log-probabilities after their end")
sys.exit(longer == 0)
PY
