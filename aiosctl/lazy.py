"""Commands that are imported when they are called, and verbs that show an example in their help."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Verb(click.Command):
    """A command with examples; it takes `--target` beside its own options."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.append(target_option())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, one a line, after the options."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"  {line}\n")
        super().format_epilog(ctx, formatter)


class Nouns(click.Group):
    """A group whose table says where each command lives and what it is, so that `--help` imports none of them."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], sections: Mapping[str, str] | None = None, default: str = "", **kwargs: Any) -> None:
        """`table`: name -> ("module:function", one line of help). `sections`: first name of a section -> its title. `default`: the verb where none is named."""
        super().__init__(*args, **kwargs)
        self.table = table
        self.sections = sections or {}
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.named(ctx, args))

    def named(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`args` with the verb that is meant where they name none."""
        unnamed = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return [self.default, *args] if self.default and unnamed else args

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, function = self.table[cmd_name][0].partition(":")
        found = getattr(import_module(module), function)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; an unknown name is answered with the nearest ones."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            from difflib import get_close_matches

            from aiosctl.failures import WrongUsage

            near = get_close_matches(args[0], self.table, n=3)
            known = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(self.table)}"
            raise WrongUsage(f"there is no command `{ctx.command_path} {args[0]}`", known)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, from the table alone."""
        rows: list[tuple[str, str]] = []
        title = "Commands"
        for name, (_, summary) in self.table.items():
            if name in self.sections:
                _write_section(formatter, title, rows)
                title, rows = self.sections[name], []
            rows.append((name, summary))
        _write_section(formatter, title, rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[Any]":
        """Names and their one-line help, without importing the commands."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(n, help=s) for n, (_, s) in self.table.items() if n.startswith(incomplete)]
        return names or click.Command.shell_complete(self, ctx, incomplete)


def verb(*examples: str, name: str | None = None, **settings: Any) -> Callable[[F], Verb]:
    """Make a function a verb; each example is a whole command line."""
    return click.command(name=name, cls=Verb, examples=examples, **settings)


def target_option() -> click.Option:
    """`--target`, accepted before and after the verb; the last one counts."""
    return click.Option(
        ["--target"],
        metavar="ADDRESS",
        expose_value=False,
        callback=_remember_target,
        help="The daemon: a socket path, unix:PATH or HOST:PORT. Else AIOS_TARGET, the system's socket, your own.",
    )


def _remember_target(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().meta["aiosctl.target"] = value


def _write_section(formatter: click.HelpFormatter, title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)
