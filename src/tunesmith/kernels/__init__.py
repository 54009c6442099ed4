"""What a step does between its matrix products, compiled where the machine has a compiler for it."""
