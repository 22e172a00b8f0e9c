"""Transcripts: what a sound of any length says, piece after piece, perhaps with times."""
