"""Text → tokens and back: one calling surface on the `tokenizers` library."""
