"""What is said where a part of the installation is missing."""

from __future__ import annotations

import pytest

from calprune.errors import MissingExtra
from calprune.extras import check, needed


def test_a_missing_package_is_named_with_its_extra() -> None:
    said = "reading needs the package 'no_such_package': pip install 'calprune\\[data\\]'"
    with pytest.raises(MissingExtra, match=said), needed("reading", "data"):
        import no_such_package  # noqa: F401
    with pytest.raises(MissingExtra, match=said):
        check("reading", "data", "numpy", "no_such_package")


def test_what_is_missing_of_calprune_itself_is_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"calprune\.nothing"), needed("reading"):
        import calprune.nothing  # noqa: F401


def test_what_is_there_passes() -> None:
    with needed("reading"):
        import numpy
    check("reading", "data", "numpy")
    assert numpy.__version__
