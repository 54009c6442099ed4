"""`python -m tunesmith`: the command, where its script is not on the path."""

from tunesmith.cli.main import main

__all__: list[str] = []

main()
