"""Generated scenes and questions: a small world in which everything is known."""
