"""The options that every benchmark has."""

import argparse
from pathlib import Path


def parser(name: str, description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description, allow_abbrev=False)
    made.add_argument(
        "--directory", type=Path, metavar="DIR", help="where the state directories are made, to choose the disk (default: where all temporary files are)"
    )
    made.add_argument("--wait-quiet", type=float, default=0.0, metavar="S", help="wait up to S seconds for a moment when nobody else uses the machine")
    return made


def count(text: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError, which argparse tells the user."""
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number
