"""Data and script of `starter/digits`."""
