"""`model`: models under version control: register, look, compare, check out. `data` has the same verbs for datasets."""

from collections.abc import Callable
from typing import Any

import click

from aios.versions import DATASET, MODEL
from aiosctl.lazy import Nouns, Verb

COMMON = {
    "register": ("aiosctl.model_versions:register", "Register a file or directory as the next version"),
    "ls": ("aiosctl.model_list:ls", "List what there is, or what is asked for"),
    "show": ("aiosctl.model_list:show", "Show all about a version, or about a name"),
    "log": ("aiosctl.model_list:log", "Versions, newest first; --refs: every move of the references"),
    "diff": ("aiosctl.model_diff:diff", "What differs between two versions"),
    "checkout": ("aiosctl.model_versions:checkout", "A verified, read-only path of a version; or a copy"),
    "cache": ("aiosctl.model_versions:cache", "What was downloaded to this machine, and stays until there is no room"),
    "push": ("aiosctl.model_transfer:push", "Bring a version to another daemon"),
    "pull": ("aiosctl.model_transfer:pull", "Bring a version from another daemon here"),
    "export": ("aiosctl.model_carry:export_versions", "Write versions to a file, for where no daemon answers"),
    "import": ("aiosctl.model_carry:import_versions", "Take versions from such a file, or from another house's layout"),
    "branch": ("aiosctl.model_refs:branch", "List branches; make, move or remove one"),
    "tag": ("aiosctl.model_refs:tag", "List tags; make or remove one"),
    "alias": ("aiosctl.model_refs:alias", "List aliases, such as prod; move or remove one"),
    "rollback": ("aiosctl.model_refs:rollback", "Move a reference back to where it was before"),
    "merge": ("aiosctl.model_refs:merge", "Bring a version into a branch"),
    "revert": ("aiosctl.model_refs:revert", "Undo what one version changed, as a new version"),
    "set": ("aiosctl.model_care:set_model", "Who may use it, how long its versions are kept"),
    "verify": ("aiosctl.model_care:verify", "Read back what is stored, and compare"),
    "scan": ("aiosctl.model_safety:scan", "Look for what it would do when it is loaded"),
    "allow": ("aiosctl.model_safety:allow", "Let a version be used though it is flagged"),
    "sign": ("aiosctl.model_safety:sign", "Sign a version with a key of your own"),
    "verify-signature": ("aiosctl.model_safety:verify_signature", "Find out whether a key has signed it"),
    "gc": ("aiosctl.model_care:gc", "Remove what nothing keeps any more"),
    "usage": ("aiosctl.model_care:usage", "What users' models and datasets take"),
    "rm": ("aiosctl.model_care:rm", "Remove a version, or all of a name"),
}
OF_MODELS = {
    "optimize": ("aiosctl.model_optimize:optimize", "Make it smaller or faster by a job, and measure both"),
    "outputs": ("aiosctl.model_versions:outputs", "Register what a job has left, where that failed"),
}
SECTIONS = {"register": "Versions", "branch": "References", "set": "Care", "optimize": "Jobs"}


class StoreNoun(Nouns):
    """The same verbs for models and for datasets: each verb learns of which from the group it was called in, also in its examples."""

    def __init__(self, *args: Any, kind: str, **settings: Any) -> None:
        super().__init__(*args, table=COMMON | OF_MODELS if kind == MODEL else COMMON, sections=SECTIONS, **settings)
        self.kind = kind

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if not isinstance(found, Verb):
            return found
        callback: Callable[..., Any] | None = found.callback

        def of_kind(**given: Any) -> Any:
            assert callback is not None
            return callback(kind=self.kind, **given)

        examples = tuple(line.replace("aiosctl model ", f"aiosctl {self.name} ") for line in found.examples)
        help_text = found.help if self.kind == MODEL or not found.help else found.help.replace("model", "dataset")
        params = [each for each in found.params if each.name != "target"]
        return Verb(found.name, params=params, callback=of_kind, help=help_text, examples=examples, context_settings=found.context_settings)


@click.group(cls=StoreNoun, kind=MODEL)
def model() -> None:
    """Models under version control: stored once, verified always.

    A version is named "digits" (its main), "digits:prod", "digits@abc123", "digits:main~2" or "digits:^1.2".
    """


@click.group(cls=StoreNoun, kind=DATASET, name="data")
def data() -> None:
    """Datasets under version control, kept as models are.

    A version is named "mnist" (its main), "mnist:clean", "mnist@abc123", "mnist:main~2" or "mnist:^1.2".
    """
