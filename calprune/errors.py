"""Everything that can go wrong for a user, as a tree.

    CalpruneError            exit code 1
    ├── PlanError            2   the request makes no sense (unknown name, K too large, …)
    ├── MissingExtra         2   a part of calprune that is not installed is needed
    ├── BenchmarkError       3   questions or images are missing or not as published
    ├── IncompleteError      3   something asked for is not there yet
    ├── StoreError           4   a file cannot be trusted
    │   ├── DamagedFile          truncated, altered, or not a calprune file at all
    │   ├── WrongFormat          another format version
    │   └── Mismatch             the file is not what its name or its neighbours say
    ├── ModelError           4   a model folder or its output cannot be trusted
    └── WriteError           5   disk full, read-only folder, no permission

A message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations


class CalpruneError(Exception):
    """Base of all errors that calprune raises on purpose."""

    exit_code = 1


class PlanError(CalpruneError):
    """The request cannot be turned into work."""

    exit_code = 2


class MissingExtra(CalpruneError):
    """An optional part of the installation is needed."""

    exit_code = 2


class BenchmarkError(CalpruneError):
    """Questions or images are missing, or differ from what was published."""

    exit_code = 3


class IncompleteError(CalpruneError):
    """Something asked for is not there yet."""

    exit_code = 3


class StoreError(CalpruneError):
    """A file in a store cannot be trusted."""

    exit_code = 4


class DamagedFile(StoreError):
    """A file is truncated, altered, or not calprune's."""


class WrongFormat(StoreError):
    """A file is of a format version that this release does not read."""


class Mismatch(StoreError):
    """A file is not what its name or its neighbours promise."""


class ModelError(CalpruneError):
    """A model folder, or what a model answered, cannot be trusted."""

    exit_code = 4


class WriteError(CalpruneError):
    """Nothing could be written: the disk is full, read-only, or belongs to somebody else."""

    exit_code = 5
