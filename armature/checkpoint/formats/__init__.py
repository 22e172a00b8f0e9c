"""The file formats of weights: what their headers say, checked before anything is believed."""
