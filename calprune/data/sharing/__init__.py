"""Sealed files on their way to others and back: packs, and what is read of strangers' ones."""
