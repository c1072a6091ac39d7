"""The catalogue of bad inputs: every way an input can be wrong, and what the program does about it."""
