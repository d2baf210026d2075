"""`admin token`: bearer tokens for callers over the network."""

import time
from collections.abc import Iterator

import click

from aios.access import ROLES, NewToken, Token
from aiosctl import describe, session
from aiosctl.lazy import Nouns, verb
from aiosctl.options import Value, output_options
from aiosctl.output import Column, Shape, print_one, print_rows, section

TABLE = {
    "create": ("aiosctl.tokens:create", "Make a token; its secret is shown once"),
    "ls": ("aiosctl.tokens:ls", "List tokens, never their secrets"),
    "revoke": ("aiosctl.tokens:revoke", "Revoke tokens, at once"),
}


def _lifetime(text: str) -> float | None:
    """Seconds from now; None: never. Takes a duration, or a moment that is to come."""
    from aios.errors import AiosError
    from aios.moments import parse_time
    from aios.units import parse_seconds

    if text.lower() == "never":
        return None
    try:
        return parse_seconds(text)
    except AiosError:
        left_s = parse_time(text, what="expiry") - time.time()
    if left_s <= 0:
        raise ValueError(f"{text!r} is in the past")
    return left_s


EXPIRES = Value("time", _lifetime, "30d, 2026-12-31T08:00 or never")


def _state(token: Token) -> str:
    if token.revoked_at_s:
        return "revoked"
    return "expired" if token.expires_at_s and token.expires_at_s <= time.time() else "active"


def _moment(at_s: float) -> str:
    return describe.moment(at_s) if at_s else "never"


COLUMNS: list[Column[Token]] = [
    Column("ID", lambda t: t.id),
    Column("USER", lambda t: t.user, cut=True),
    Column("ROLE", lambda t: t.role),
    Column("STATE", _state, colour=lambda t: "" if _state(t) == "active" else "dim"),
    Column("EXPIRES", lambda t: _moment(t.expires_at_s)),
    Column("LAST USED", lambda t: _moment(t.last_used_at_s)),
    Column("CREATED", lambda t: _moment(t.created_at_s), wide=True),
    Column("CREATED BY", lambda t: t.created_by, wide=True),
    Column("COMMENT", lambda t: t.comment, cut=True),
]


@click.group(cls=Nouns, table=TABLE)
def token() -> None:
    """Bearer tokens, by which callers over the network are known."""


@verb(
    "aiosctl admin token create --user alice --role user --expires 30d --comment 'CI of the vision team'",
    "aiosctl admin token create --user alice -q > alice.token",
)
@click.option("--user", required=True, metavar="NAME", help="Whoever shows the token is this user.")
@click.option("--role", type=click.Choice(ROLES), help="At most that of the user, and your own. Else the user's.")
@click.option("--expires", type=EXPIRES, default="30d", show_default=True, help="A time from now, a moment, or never.")
@click.option("--comment", default="", help="What it is for.")
@output_options
def create(user: str, role: str | None, expires: float | None, comment: str, shape: Shape) -> None:
    """Make a token; takes an admin. Its secret is shown now and never again: only a hash of it is kept. -q prints nothing but the secret."""
    with session.connect() as client:
        made = client.create_token(user, role=role, expires=expires, comment=comment)
        print_one(made, _layout, lambda m: m.secret, shape)


def _layout(made: NewToken, wide: bool) -> Iterator[str]:
    one = made.token
    yield from section(f"Token {one.id}", [
        ("user", one.user), ("role", one.role), ("expires", _moment(one.expires_at_s)), ("comment", one.comment),
        ("secret", made.secret), ("", "it is not shown again; pass it as AIOS_TOKEN, or `authorization: Bearer …`"),
    ])  # fmt: skip


@verb("aiosctl admin token ls", "aiosctl admin token ls --all -o wide")
@click.option("-a", "--all", "include_ended", is_flag=True, help="Also those that have expired or were revoked.")
@output_options
def ls(include_ended: bool, shape: Shape) -> None:
    """List tokens, newest first; takes an admin."""
    with session.connect() as client:
        print_rows(client.tokens(include_ended=include_ended), COLUMNS, lambda t: t.id, shape, nothing="no tokens")


@verb("aiosctl admin token revoke 3f9a02c41e", "aiosctl admin token revoke $(aiosctl admin token ls -q)")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@output_options
def revoke(ids: tuple[str, ...], shape: Shape) -> None:
    """Revoke tokens: they open nothing from now on; takes an admin."""
    with session.connect() as client:
        print_rows([client.revoke_token(each) for each in ids], COLUMNS, lambda t: t.id, shape)
