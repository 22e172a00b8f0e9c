"""Native kernels: what decoding does for every token, as one call of a small C library."""
