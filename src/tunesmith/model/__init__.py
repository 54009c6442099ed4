"""Fine-tune, part one: base models and their tokens."""
