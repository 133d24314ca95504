"""Which files belong to one experiment, and which are compared."""
