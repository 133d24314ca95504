"""Trains the embedded model. Run as ``python -m training``; see docs/model-card.md."""
