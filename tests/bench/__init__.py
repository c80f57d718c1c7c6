"""The figures: `make bench`, `python -m tests.bench`."""
