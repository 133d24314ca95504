"""Conversation templates by name, rendered as haotian-liu/LLaVA:llava/conversation.py does.

Text before and after the image.
"""

CHAT = "hf"
"""The checkpoint's own chat template."""

TEMPLATES = {
    "vicuna_v1": (
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: ",
        "\n{question} ASSISTANT:",
    ),
    "mistral_instruct": ("[INST] ", "\n{question} [/INST]"),
}
