"""From sealed logits to numbers with intervals, tables and figures. Never imports torch."""
