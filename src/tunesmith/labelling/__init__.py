"""Labelling by hand: which text is worth asking about next, and where the answers are kept."""
