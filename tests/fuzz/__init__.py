"""Fuzzing of the gate: mutants of headers, and the same mutants through the libraries that most programs use."""
