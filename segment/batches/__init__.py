"""From pair sets to the batches of a training."""
