#!/usr/bin/env bash
# uncertainty-calibration 0.1.4: rounding the confidences changes the estimate several-fold.
#
# Behaviour: get_calibration_error looks at how many distinct values it is given. Fewer than a
# quarter of the rows, and it takes them for the output of a binned model: each value becomes a
# bin of its own, in place of 15 bins of equal mass. No argument says so and nothing is printed.
# 2,000 calibrated rows, plug-in and de-biased error, by decimals of the confidence:
#     6 decimals  0.0315  0.0000
#     3 decimals  0.2005  0.0000
#     2 decimals  0.0651  0.0027
# The same rows with the bins fixed (lower_bound_scaling_ce) keep their 0.03.
#
# Why it matters: confidences from half-precision logits, or read back from a table with three
# digits, repeat a lot. The plug-in error of a calibrated model is then reported as six times
# what it is with full precision, and two conditions that differ in dtype cannot be compared.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq uncertainty-calibration==0.1.4 \
    numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1
"$folder/venv/bin/python" - <<'EOF'
import sys

import calibration
import numpy as np

rng = np.random.default_rng(0)
confidence = rng.uniform(0.5, 1, 2000)
right = (rng.random(2000) < confidence).astype(int)

plug_in, fixed = {}, {}
for places in (6, 3, 2):
    c = confidence.round(places)
    plug_in[places] = calibration.get_calibration_error(c, right, debias=False)
    fixed[places] = calibration.lower_bound_scaling_ce(c, right, debias=False)
    debiased = calibration.get_calibration_error(c, right)
    print(
        f"{places} decimals, {len(np.unique(c)):4} values: plug-in {plug_in[places]:.4f}, "
        f"de-biased {debiased:.4f}, plug-in with 15 bins {fixed[places]:.4f}"
    )
ok = plug_in[3] > 5 * plug_in[6] and plug_in[2] > 1.5 * plug_in[6]
ok = ok and max(fixed.values()) < 1.3 * min(fixed.values())
sys.exit(not ok)
EOF
