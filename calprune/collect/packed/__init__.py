"""Packed inference: all questions about an image in one forward, for every model family.

``packs`` lays tokens out, ``masks`` says who sees whom, ``routes`` decides how a pack is run,
``memory`` how large a batch may be, ``reply`` runs it and ``decode`` continues it, token by token.
Adapters only carry out single forwards.
"""
