"""Raw input becomes what a model takes: text, later images and sounds."""
