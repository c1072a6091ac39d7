"""Public checkpoints: reading them safely, knowing what their channels mean, rebuilding and running their networks."""
