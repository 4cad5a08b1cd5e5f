"""Speed and memory of the numerical core beside what a user would pick instead: `python -m benchmarks`."""
