"""What is remembered: the SQLite database behind Elara. Imports nothing of ours."""
