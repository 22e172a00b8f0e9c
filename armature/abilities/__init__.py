"""What models of some kinds can do beside answering a call: write, look, join, restore."""
