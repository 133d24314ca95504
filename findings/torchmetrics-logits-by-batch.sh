#!/usr/bin/env bash
# torchmetrics 1.9.0: the size of batches changes the calibration error of logits.
#
# Behaviour: BinaryCalibrationError takes logits or probabilities and decides for each update: a
# batch that holds a value outside [0, 1] goes through the sigmoid, any other is taken as
# probabilities already. Logits near 0 are therefore used raw whenever no larger one happens to
# be beside them. Four logits 0.2, 0.6, 0.9, 3.0 with labels 0, 1, 1, 1:
#     one batch of four   0.3102
#     two batches of two  0.2341
#     four of one         0.1869
#
# Why it matters: the log-odds of "yes" against "no" are an obvious input, and nothing fails. The
# metric then depends on the batch size, the order of rows and the last, shorter batch; two
# pruning budgets that are run with other batch sizes differ by more than many reported effects.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import sys

import torch
from torchmetrics.classification import BinaryCalibrationError

logits = torch.tensor([0.2, 0.6, 0.9, 3.0])
labels = torch.tensor([0, 1, 1, 1])


def error(values, size):
    metric = BinaryCalibrationError(n_bins=10)
    for v, y in zip(values.split(size), labels.split(size)):
        metric.update(v, y)
    return metric.compute().item()


of_logits = {size: error(logits, size) for size in (4, 2, 1)}
of_sigmoid = {size: error(logits.sigmoid(), size) for size in (4, 2, 1)}
for size in (4, 2, 1):
    print(
        f"batches of {size}: logits {of_logits[size]:.4f}, "
        f"their sigmoid {of_sigmoid[size]:.4f}"
    )
spread = max(of_logits.values()) - min(of_logits.values())
steady = max(of_sigmoid.values()) - min(of_sigmoid.values())
sys.exit(not (spread > 0.1 and steady < 1e-6))
EOF
