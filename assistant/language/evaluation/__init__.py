"""How well a language model does this assistant's work, with intervals. Light: torch only where a model runs."""
