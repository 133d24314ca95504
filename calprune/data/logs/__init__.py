"""Readers of logs that other programs wrote, for ``calprune import``. One file here is one.

Other packages add theirs by entry points of the group ``calprune.logs``.
"""

from calprune.data.log import Head, Log, LogReader, LogRow

__all__ = ["Head", "Log", "LogReader", "LogRow"]
