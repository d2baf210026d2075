"""`completion`: the script that teaches a shell to complete aiosctl."""

import click

from aiosctl.lazy import verb


@verb('eval "$(aiosctl completion bash)"', "aiosctl completion fish > ~/.config/fish/completions/aiosctl.fish")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell; put it where your shell looks, or eval it in its start-up file."""
    print(script(shell, ctx.find_root().command))


def script(shell: str, root: click.Command) -> str:
    """What a shell sources to complete the command `root`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    return found(root, {}, "aiosctl", "_AIOSCTL_COMPLETE").source()
