"""Sentences about a small world with a word hidden."""
