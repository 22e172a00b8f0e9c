"""Little stories, told by a grammar."""
