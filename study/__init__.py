"""A study suite for colorization losses: which loss, at which weights, cures sepia, and at what cost."""
