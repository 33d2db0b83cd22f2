"""Handlers to learn from."""
