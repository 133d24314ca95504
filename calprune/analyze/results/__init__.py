"""What is computed from experiments: rows of named values."""
