"""What collecting will cost."""
