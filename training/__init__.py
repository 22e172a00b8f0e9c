"""How the small checkpoints in `armature/starter` were made: texts, generators, training."""
