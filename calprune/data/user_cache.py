"""The user's cache folder: what is in it can be made again, and only its owner may write there."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """``$XDG_CACHE_HOME/calprune``, else ``~/.cache/calprune``; RuntimeError without a home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calprune"
