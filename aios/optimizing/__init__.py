"""The program of `aiosctl model optimize`: quantises and prunes a model, measures it beside the original, and registers what passes its gates."""
