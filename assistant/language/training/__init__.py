"""Teach a language model this assistant's work: words first, then to see, then adapters, masks and plans."""
