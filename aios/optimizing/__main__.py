"""The program itself, `python -m aios.optimizing`, as the daemon starts it: in a job, as its user."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aios.client import Client
from aios.errors import AiosError
from aios.optimizing.gates import parse_gate
from aios.run import Run, run

if TYPE_CHECKING:
    from aios.optimizing.report import Report
    from aios.versions import Version

GATE_FAILED = 3  # the exit status
_STEPS = 4


def main(words: Sequence[str] | None = None) -> int:
    """0: registered; GATE_FAILED: measured, and not good enough; 1: it could not be done."""
    asked = _parser().parse_args(words)
    try:
        with run() as job, Client() as client:
            return _optimise(asked, job, client)
    except AiosError as error:
        print(f"error: {error}", *([f"hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m aios.optimizing", description=__doc__, allow_abbrev=False)
    parser.add_argument("ref", help="the version, as digits@3f2a9c")
    parser.add_argument("--format", required=True)
    parser.add_argument("--file", required=True, help="the model in the version")
    parser.add_argument("--quantize", default="")
    parser.add_argument("--prune", type=float, default=0.0)
    parser.add_argument("--calibrate", default="", help="an absolute path, or a version of a dataset")
    parser.add_argument("--gate", action="append", default=[])
    parser.add_argument("--branch", required=True)
    parser.add_argument("--expected", default="", help="what the branch must be at")
    parser.add_argument("--message", default="")
    return parser


def _optimise(asked: argparse.Namespace, job: Run, client: Client) -> int:
    from aios.optimizing.wish import Wish
    from aios.optimizing.work import Order, carry_out

    source = client.models.version(asked.ref)
    whole = Path(client.models.checkout(asked.ref))
    data = asked.calibrate
    samples = _samples(data, client) if data else None
    order = Order(
        source=str(source), whole=whole, file=asked.file, format=asked.format, wish=Wish(asked.quantize, asked.prune), samples=samples,
        gates=[parse_gate(text) for text in asked.gate], threads=max(1, len(job.cpus)),
    )  # fmt: skip
    made = job.scratch / "optimised" / (whole.name if whole.is_file() else source.model.rpartition("/")[2])
    report = carry_out(order, made, lambda steps: job.progress(steps, _STEPS))
    print(report.title, "", report.markdown(), "", sep="\n", flush=True)
    job.log(step=0, **report.metrics())
    if not report.passed:
        print(f"A gate failed: nothing is registered, and {source.model}:{asked.branch} stays as it is.", flush=True)
        return GATE_FAILED
    _register(asked, client, source, report, made)
    job.progress(_STEPS, _STEPS)
    return 0


def _samples(data: str, client: Client) -> tuple[Path, str]:
    """Where they lie, and what they are called."""
    if data.startswith("/"):
        return Path(data), data
    return Path(client.datasets.checkout(data)), str(client.datasets.version(data))


def _register(asked: argparse.Namespace, client: Client, source: "Version", report: "Report", made: Path) -> None:
    version = client.models.register(
        source.model, made, branch=asked.branch, expected=asked.expected, parents=[asked.ref], message=asked.message or report.title,
        metrics=report.metrics(), labels=source.labels, licence=source.licence, card=report.card(source.card),
    )  # fmt: skip
    print(f"{version} is version {version.number} on {asked.branch}.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
