"""How fast AIOS is, and how much it weighs, each figure beside its floor from the same run."""
