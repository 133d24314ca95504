"""The stages of collecting: plan, encode, select, ask."""
