"""What happens to a studio sooner or later, often: tests do a little of it, benchmarks/chaos.py much."""
