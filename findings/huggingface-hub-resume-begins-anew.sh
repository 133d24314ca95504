#!/usr/bin/env bash
# huggingface_hub 2.4.0: a download that breaks in its first 10 MB "resumes" from byte 0.
#
# Behaviour: when a connection breaks within a file, hf_hub_download warns "Trying to resume
# download..." and asks again. It asks for the rest only (with a Range header) if at least one
# chunk of 10 MB had been written; whatever came before that is thrown away and fetched anew.
#
# Why it matters: logit caches are files of 1 to 10 MB, hundreds of them. On a connection that breaks
# every few megabytes such a file never arrives, however often it is tried, and the message says
# the opposite. Whoever shares caches has to resume between files, and keep files small.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq huggingface_hub==2.4.0
cd "$folder"
export HF_HOME="$folder/home" HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1
"$folder/venv/bin/python" - <<'PY'
import hashlib
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 8_000  # 2 MB
ETAG = hashlib.sha256(CONTENT).hexdigest()
ranges = []


class Hub(BaseHTTPRequestHandler):
    """One file of one repository; its first download breaks in the middle."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def head(self, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", f'"{ETAG}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_HEAD(self):
        self.head(len(CONTENT))

    def do_GET(self):
        ranges.append(self.headers.get("Range"))
        self.head(len(CONTENT))
        if len(ranges) == 1:
            self.wfile.write(CONTENT[:1_000_000])
            self.close_connection = True
        else:
            self.wfile.write(CONTENT)


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
from huggingface_hub import hf_hub_download

path = hf_hub_download("lab/caches", "logits.h5", repo_type="dataset")
print("bytes that arrived:", os.path.getsize(path))
print("Range of each request:", ranges)
sys.exit(not (len(ranges) == 2 and ranges[1] in (None, "bytes=0-")))
PY
