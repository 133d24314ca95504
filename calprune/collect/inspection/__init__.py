"""Looking at what selectors choose."""
