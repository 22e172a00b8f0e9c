"""Hidden states → what was asked for: heads, losses, results, decoding."""
