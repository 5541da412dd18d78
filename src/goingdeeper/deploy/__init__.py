"""From a trained network to the fastest form that computes the same."""
