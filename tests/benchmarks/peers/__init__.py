"""Other people's ways of writing the same algorithm, written here for the benchmarks to run beside ours."""
