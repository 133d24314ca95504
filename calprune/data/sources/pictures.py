"""Picture files in a folder, found also where a copy of a release spells their suffix otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from calprune.errors import BenchmarkError

SUFFIXES = (".jpg", ".jpeg", ".png")  # in small letters or capitals


class Pictures:
    """The pictures of a folder, by the names that its questions give them.

    A file of exactly that name is taken first. Where there is none, the one that differs in its
    suffix alone stands for it, such as ``7.JPG`` or ``7.png`` for ``7.jpg``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def __call__(self, name: str) -> Path:
        """Where a picture is; where there is none, where it should be.

        Raises BenchmarkError if it is not there, but several files could be meant.
        """
        path = self._folder / name
        if os.path.isfile(path):
            return path
        stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
        found = self._files(path.parent).get(stem, [])
        if len(found) > 1:
            raise BenchmarkError(
                f"no image {path}, and {' and '.join(found)} could both be meant; remove or rename "
                "those that are not"
            )
        return path.with_name(found[0]) if found else path

    def of_stem(self, stem: str) -> Path:
        """Where the picture of a name without suffix is; without one, where it should be.

        Raises BenchmarkError if there are several.
        """
        usual = [f"{stem}{suffix}" for suffix in SUFFIXES]
        there = [name for name in usual if os.path.isfile(self._folder / name)]
        there = there or self._files(self._folder).get(stem, [])
        if len(there) > 1:
            raise BenchmarkError(
                f"{self._folder}: {' and '.join(there)} belong to one text; remove the one that is "
                "extra"
            )
        return self._folder / (there[0] if there else usual[0])

    def _files(self, folder: Path) -> dict[str, list[str]]:
        """Names of picture files by their stems, sorted; the folder is listed once."""
        if folder not in self._listed:
            found: dict[str, list[str]] = {}
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []  # what is asked for is then missing, and is said to be
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in SUFFIXES:
                    found.setdefault(stem, []).append(name)
            self._listed[folder] = found
        return self._listed[folder]
