"""Tune: search the recipe on the validation rows, and prove what was found on the test rows, once."""
