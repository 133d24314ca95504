#!/usr/bin/env bash
# transformers 5.23.0 with Pillow 13.0.0: an RGB picture in which one colour turns white.
#
# Behaviour: a PNG may declare one colour transparent (tRNS). Image.open(...).convert("RGB") has
# three channels, but keeps that colour in info["transparency"]. The image processors' own
# convert_to_rgb takes the entry for an alpha channel and composites on white. So a
# caller who has converted already gets other pixels than the three channels hold: a black patch
# of value 0 becomes 255. The same array without the entry stays as it is.
# transformers 4.57.6, given the same picture, leaves the patch black.
#
# Why it matters: nothing tells the two pictures apart but a dictionary entry, so image features,
# attention scores and the tokens that pruning keeps change with the version of transformers on
# an unchanged file, and a cache keyed by the pixels of the converted picture does not notice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m venv "$folder/older"
"$folder/venv/bin/python" -m pip install -qq transformers==5.23.0 pillow==13.0.0 numpy==2.4.6
"$folder/older/bin/python" -m pip install -qq transformers==4.57.6 pillow==13.0.0 numpy==2.4.6
cat > "$folder/see.py" <<'EOF'
import io
import sys

import numpy as np
import transformers
from PIL import Image

if transformers.__version__.startswith("5."):
    from transformers import CLIPImageProcessorPil as Processor
else:
    from transformers import CLIPImageProcessor as Processor

drawn = Image.new("RGB", (64, 64), (250, 40, 40))
drawn.paste((0, 0, 0), (0, 0, 32, 64))
file = io.BytesIO()
drawn.save(file, "PNG", transparency=(0, 0, 0))
file.seek(0)

given = Image.open(file).convert("RGB")
bare = Image.fromarray(np.asarray(given))
processor = Processor(
    do_resize=False, do_center_crop=False, do_normalize=False, do_rescale=False
)
seen = [
    np.asarray(processor(image, return_tensors="np")["pixel_values"])[0, :, 0, 0].tolist()
    for image in (given, bare)
]
print(f"transformers {transformers.__version__}: {given.mode} {given.info}")
print(f"  the converted picture's black patch {seen[0]}, without the entry {seen[1]}")
expected = [255] * 3 if sys.argv[1] == "white" else [0] * 3
sys.exit(seen != [expected, [0] * 3])
EOF
"$folder/venv/bin/python" "$folder/see.py" white
"$folder/older/bin/python" "$folder/see.py" black
