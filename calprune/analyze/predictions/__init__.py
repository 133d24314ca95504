"""From raw logits and replies to probabilities, a prediction and a confidence."""
