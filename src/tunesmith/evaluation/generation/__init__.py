"""Judge what a model wrote: scores against references, rivals, and the report."""

__all__: list[str] = []
