"""Fills the cache: plan, then encode, choose and ask, three rooms that meet in sealed files."""
