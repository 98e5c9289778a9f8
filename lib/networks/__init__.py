"""The three networks of the paper and their stacked training."""
