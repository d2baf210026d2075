"""The command line of AIOS: parse, call the SDK, print."""
