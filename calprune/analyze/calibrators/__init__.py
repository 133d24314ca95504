"""Calibrators. One file here is one; its name is the file's, with dashes.

Its fields are its parameters. Other packages add theirs by entry points of the group
``calprune.calibrators``. What a calibrator is, says ``calprune.analyze.calibrator``; its names
stand here too.
"""

from calprune.analyze.calibrator import (
    Calibrator,
    DataDependentCalibrator,
    Map,
    OfAnswers,
    OfConfidence,
)

__all__ = ["Calibrator", "DataDependentCalibrator", "Map", "OfAnswers", "OfConfidence"]
