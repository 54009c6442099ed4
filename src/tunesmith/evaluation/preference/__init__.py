"""Judge how often a model agrees about which answer is preferred: scores, rivals, and the report."""

__all__: list[str] = []
