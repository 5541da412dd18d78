"""Exported models, opened and run without torch."""
