"""The benchmarks: a module each, whose ``run`` yields the rows of its comparisons."""
