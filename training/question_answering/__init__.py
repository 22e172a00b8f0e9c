"""Questions about short passages, and where the answer stands."""
