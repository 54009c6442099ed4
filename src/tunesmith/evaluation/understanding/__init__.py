"""Understanding a model: when to trust it, where it is weak, what it mixes up, what it goes by."""
