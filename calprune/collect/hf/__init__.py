"""What adapters share in reading checkpoints in Hugging Face format.

``names`` finds a folder, ``checkpoint`` reads it, ``templates`` turns questions into token ids,
``pictures`` opens images, ``clip`` runs the tower and ``clip_llama`` what LLaVAs share.
"""
