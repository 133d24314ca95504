"""Two files of results of VLMEvalKit: choices and yes/no, replies made up, judged by its rules."""

import base64
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
from PIL import Image

here, data = Path(sys.argv[1]), Path("lmu")
os.environ["LMUData"] = str(data)  # noqa: SIM112
data.mkdir(exist_ok=True)

from vlmeval.dataset.image_mcq import CustomMCQDataset  # noqa: E402
from vlmeval.dataset.image_yorn import ImageYORNDataset  # noqa: E402

questions = [json.loads(line) for line in Path("questions.jsonl").read_text().splitlines()]
picture = io.BytesIO()
Image.new("RGB", (8, 8)).save(picture, "PNG")
rows = pd.DataFrame(
    {
        "index": range(8),
        "image": base64.b64encode(picture.getvalue()).decode(),
        "image_path": [q["image"] for q in questions],
        "question": [q["question"] for q in questions],
        "A": "yes",
        "B": "no",
        "category": ["sky", "sky", "pet", "pet", "road", "road", "time", "time"],
        "answer": ["AB"[q["label"]] for q in questions],
    }
)
rows.to_csv(data / "Tiny.tsv", sep="\t", index=False)
printed, kept = {}, here / "vlmevalkit"
kept.mkdir(exist_ok=True)

replies = rows.drop(columns="image")
replies["prediction"] = ["A", "B.", "(A)", "The answer is A", "no idea", "B", "A", "yes"]
replies.to_excel("tiny_Tiny.xlsx", index=False)
score = CustomMCQDataset("Tiny").evaluate("tiny_Tiny.xlsx", model="exact_matching", nproc=1)
(result,) = Path().glob("tiny_Tiny*result.xlsx")
shutil.copy(result, kept / result.name)
printed[f"vlmevalkit/{result.name}"] = float(score["Overall"].iloc[0])

asked = rows.drop(columns=["image", "A", "B"])
asked["answer"] = [q["options"][q["label"]].capitalize() for q in questions]
asked["prediction"] = ["Yes", "No.", "yes, a cat", "Yes", "maybe", "no", "Yes", "I see yes and no"]
asked.to_csv("tiny_TinyYN.tsv", sep="\t", index=False)
os.environ["PRED_FORMAT"] = "tsv"
judged = ImageYORNDataset.__new__(ImageYORNDataset)  # its own data are not needed to judge
judged.dataset_name = "TinyYN"
score = judged.evaluate("tiny_TinyYN.tsv", model="exact_matching", nproc=1)
(result,) = Path().glob("tiny_TinyYN*auxmatch.tsv")
shutil.copy(result, kept / result.name)
printed[f"vlmevalkit/{result.name}"] = float(score["Overall"].iloc[0]) / 100
print(score)
known = json.loads((here / "printed.json").read_text())
(here / "printed.json").write_text(json.dumps(known | printed, indent=2, sort_keys=True) + "\n")
