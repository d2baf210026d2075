"""Looks for what a model would do to whoever loads it: nothing is loaded, each file is read as its loaders would read it."""
