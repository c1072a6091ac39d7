"""Bytes and files: archives, streams under a cap, what a file is, and writing whole or not at all."""
