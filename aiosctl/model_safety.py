"""`model scan`, `allow`, `sign` and `verify-signature`: whether a model may be used, and who says so."""

from collections.abc import Iterator

import click

from aios.versions import Scan, ScanFinding, Signature, SignatureCheck
from aiosctl.completing import REF
from aiosctl.failures import FAILED, leave
from aiosctl.lazy import verb
from aiosctl.model_describe import COLOURS, calls, version_id
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, escaped, print_lines, print_one, print_rows

_COLOURS = {"danger": "red", "unknown": "yellow", "broken": "yellow"}
FINDINGS: list[Column[ScanFinding]] = [
    Column("SEVERITY", lambda f: f.severity, colour=lambda f: _COLOURS.get(f.severity, "")),
    Column("FILE", lambda f: f.file or "-", cut=True),
    Column("WHAT", lambda f: f.what),
]


@verb("aiosctl model scan digits:prod", "aiosctl model scan digits@3f2a9c -o json")
@click.argument("ref", type=REF)
@output_options
def scan(ref: str, shape: Shape, kind: str) -> None:
    """Look through the version REF of a model for what it would do when it is loaded. Exit status: 0 nothing was found, or it is allowed; 1 it is flagged.

    Nothing is loaded, and no flag is taken back: that is for `aiosctl model allow`.

    Severities: danger (it runs code, or misleads whoever looks), unknown (it imports what is not known to be harmless), broken.
    """
    with calls(kind) as store:
        found = store.scan(ref)
    if shape.format in ("json", "yaml", "name"):
        print_one(found, lambda s, wide: (), lambda s: s.state, shape)
    else:
        if found.findings:
            print_rows(found.findings, FINDINGS, lambda f: f.file, shape)
        print_lines(_said(ref, found))
    leave(FAILED if found.state in COLOURS else 0)


def _said(ref: str, found: Scan) -> Iterator[str]:
    if found.state == "flagged":
        why = "" if found.findings else f" for what this scan does not find (aiosctl model show {escaped(ref)})"
        yield f"{escaped(ref)} is flagged{why}; an operator who has looked at it may allow it: aiosctl model allow {escaped(ref)} --why TEXT"
    elif not found.findings:
        yield f"{escaped(ref)} is {found.state}: nothing was found"
    else:
        yield f"{escaped(ref)} is {found.state}"


@verb("aiosctl model allow digits@3f2a9c --why 'our own classes, reviewed in #42'")
@click.argument("ref", type=REF)
@click.option("--why", required=True, metavar="TEXT", help="Who has looked at it, or where it comes from; kept with it.")
@output_options
def allow(ref: str, why: str, shape: Shape, kind: str) -> None:
    """Let everybody use the version REF of a model though it is flagged; takes an operator. The reasons stay with it."""
    with calls(kind) as store:
        made = store.allow(ref, why)
    print_one(made, lambda v, wide: [f"{v.model}@{version_id(v.id)} is {v.state}"], str, shape)


@verb("aiosctl model sign digits:prod --key key.pem")
@click.argument("ref", type=REF)
@click.option("--key", required=True, metavar="FILE", type=click.Path(), help="A private key of Ed25519 in PEM; it is used here, and sent nowhere.")
@output_options
def sign(ref: str, key: str, shape: Shape, kind: str) -> None:
    """Sign the version REF of a model: its files, and all that is said of it."""
    with calls(kind) as store:
        made = store.sign(ref, key)
    print_one(made, lambda s, wide: [_signed(ref, s)], lambda s: s.key_id, shape)


def _signed(ref: str, made: Signature) -> str:
    return f"{escaped(ref)} is signed by the key {made.key_id[:12]}"


@verb("aiosctl model verify-signature digits:prod --key key.pub", name="verify-signature")
@click.argument("ref", type=REF)
@click.option("--key", required=True, metavar="FILE", type=click.Path(), help="The public key, in PEM.")
@output_options
def verify_signature(ref: str, key: str, shape: Shape, kind: str) -> None:
    """Find out whether the version REF of a model is signed by a key. Exit status: 0 it is, 1 it is not.

    That its files are those that were signed is seen by `aiosctl model verify`, and each time that they are handed out.
    """
    with calls(kind) as store:
        found = store.verify_signature(ref, key)
    print_one(found, lambda c, wide: [_checked(c)], lambda c: "valid" if c.valid else "invalid", shape)
    leave(0 if found.valid else FAILED)


def _checked(found: SignatureCheck) -> str:
    name = f"{found.version.model}@{version_id(found.version.id)}"
    return f"{name} is signed by the key {found.key_id[:12]}" if found.valid else f"{name}: {found.reason}"
