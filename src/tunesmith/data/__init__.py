"""Prepare: read, check, mend and split labelled text."""
