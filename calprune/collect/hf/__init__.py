"""What adapters share in reading checkpoints in Hugging Face format.

``names`` finds a folder, ``checkpoint`` reads it, ``templates`` turns questions into token ids and
``clip`` runs the tower.
"""
