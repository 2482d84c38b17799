"""Training: from rows to a registered adapter. A run is a process of its own, `adapters.training.worker`."""
