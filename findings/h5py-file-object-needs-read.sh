#!/usr/bin/env bash
# h5py 3.16.0: a file object that can readinto() is refused unless it also has a read() that is
# never called.
#
# Behaviour: h5py.File takes a Python object for a file if it has both read and seek; its driver
# then reads by readinto() wherever there is one. An object with readinto, write, seek, tell,
# truncate and flush, all that the driver calls, ends in "TypeError: expected str, bytes or
# os.PathLike object", as if a name had been meant. With a read() added that raises whenever it is
# called, the same object is written and read back.
#
# Why it matters: caches of logits and features are laid out in memory and hashed before they get a
# name, and readers count or limit what a stranger's file may read. Whoever wraps a buffer for that
# writes the method that is called, and the message points away from the one that is missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq h5py==3.16.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
import sys

import h5py


class Counted:
    """A buffer in memory that counts what it is asked for."""

    def __init__(self):
        self.buffer, self.calls = io.BytesIO(), {}

    def _call(self, name, *given):
        self.calls[name] = self.calls.get(name, 0) + 1
        return getattr(self.buffer, name)(*given)

    def readinto(self, into):
        return self._call("readinto", into)

    def write(self, data):
        return self._call("write", data)

    def seek(self, *to):
        return self._call("seek", *to)

    def tell(self):
        return self._call("tell")

    def truncate(self, *to):
        return self._call("truncate", *to)

    def flush(self):
        return self._call("flush")


class WithRead(Counted):
    def read(self, *_):
        raise AssertionError("read() was called")


refused = ""
try:
    h5py.File(Counted(), "w")
except TypeError as error:
    refused = str(error)
print("without read():", refused)

kept = WithRead()
with h5py.File(kept, "w") as file:
    file["logits"] = list(range(1000))
with h5py.File(kept, "r") as file:
    back = file["logits"][()].tolist()
print("with a read() that raises:", len(back), "values back;", kept.calls)
sys.exit(not ("os.PathLike" in refused and back == list(range(1000)) and kept.calls["readinto"]))
PY
