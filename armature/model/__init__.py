"""The anatomy: which organs a body has, and how tensors run through them."""
