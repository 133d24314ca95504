"""What a task of lmms-eval brings along."""

from PIL import Image


def pictures(doc):
    return [Image.new("RGB", (8, 8))]


def question(doc, lmms_eval_specific_kwargs=None):
    return doc["question"]


def target(doc):
    return doc["options"][doc["label"]]


def verdict(doc, results):
    """The dummy says one thing only: let half of it be right."""
    return {"tiny_accuracy": float(bool(results[0]) and doc["label"] == 0)}
