"""Sounds → what a model of sounds reads: opened, mixed, resampled, turned into spectra, padded."""
