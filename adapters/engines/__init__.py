"""Engines: each owns one base model and answers requests with any of its published adapters."""
