"""Clinical rules as pure functions: what a text reads like and what it says."""
