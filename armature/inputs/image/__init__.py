"""Pictures → what a model of images reads: opened, resized, cropped, scaled, normed, padded."""
