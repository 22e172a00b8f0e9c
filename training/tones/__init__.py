"""Data and script of `starter/tones`."""
