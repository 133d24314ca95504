"""Sealed files: what is in them, how they are written, read and checked."""
