"""`completion`: the script that teaches a shell to complete aiosctl."""

import os

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class, split_arg_string

from aiosctl.lazy import verb

ASKED = "_AIOSCTL_COMPLETE"  # the variable that is set when a shell asks
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' reply type value
    for reply in $(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete $1); do
        IFS=',' read -r type value <<< "$reply"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class BashWords(BashComplete):
    """Bash takes "digits:prod" for three words, and puts an answer in place of the last: so the line is read as it stands, and the rest is answered."""

    source_template = _BASH
    _there = ""  # of the answers, in the line already

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line) + [""] * line[-1:].isspace()
        breaks = os.environ["COMP_BREAKS"]
        self._there = words[-1][: max((words[-1].rfind(letter) for letter in breaks), default=-1) + 1]
        return words[1:-1], words[-1]

    def format_completion(self, item: "CompletionItem[str]") -> str:
        return f"{item.type},{item.value.removeprefix(self._there)}"


@verb('eval "$(aiosctl completion bash)"', "aiosctl completion fish > ~/.config/fish/completions/aiosctl.fish")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell; put it where your shell looks, or eval it in its start-up file."""
    print(script(shell, ctx.find_root().command))


def script(shell: str, root: click.Command) -> str:
    """What a shell sources to complete the command `root`."""
    found = get_completion_class(shell)
    assert found is not None
    return found(root, {}, "aiosctl", ASKED).source()
