"""Many requests -> what a language model writes for each, all in one batch that never stops."""
