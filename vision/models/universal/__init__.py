"""The text-driven universal network: phrases, head, network. Light to name, torch to import."""
