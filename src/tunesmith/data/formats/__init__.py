"""One file a format: a path -> a stream of rows, each with its line, in constant memory."""

__all__: list[str] = []
