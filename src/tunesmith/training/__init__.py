"""Fine-tune, part two: batches, checkpoints and the loop."""
