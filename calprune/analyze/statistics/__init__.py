"""Intervals, dependence, tests, trends and power: what stands behind a claim about a difference."""
