"""How fast, how fairly and how rightly Elara answers; `python -m benchmarks.serving` runs it."""
