"""Datasets, kept as models are: registered, versioned, verified; the functions of `aios.models` for datasets, `aios.datasets.checkout("mnist:clean")`.

They are scanned and signed as models are, for a dataset may hold pickles, too.
"""

from aios._default import calling, default_client
from aios._model_calls import StoreCalls


def _calls() -> StoreCalls:
    return default_client().datasets


register = calling(StoreCalls.register, _calls)
checkout = calling(StoreCalls.checkout, _calls)
push = calling(StoreCalls.push, _calls)
pull = calling(StoreCalls.pull, _calls)
export = calling(StoreCalls.export, _calls)
import_ = calling(StoreCalls.import_, _calls)
datasets = calling(StoreCalls.search, _calls)
dataset = calling(StoreCalls.get, _calls)
version = calling(StoreCalls.version, _calls)
versions = calling(StoreCalls.log, _calls)
diff = calling(StoreCalls.diff, _calls)
references = calling(StoreCalls.references, _calls)
moves = calling(StoreCalls.moves, _calls)
branch = calling(StoreCalls.branch, _calls)
tag = calling(StoreCalls.tag, _calls)
alias = calling(StoreCalls.alias, _calls)
remove_reference = calling(StoreCalls.remove_reference, _calls)
rollback = calling(StoreCalls.rollback, _calls)
merge = calling(StoreCalls.merge, _calls)
revert = calling(StoreCalls.revert, _calls)
update = calling(StoreCalls.update, _calls)
remove = calling(StoreCalls.remove, _calls)
verify = calling(StoreCalls.verify, _calls)
collect_garbage = calling(StoreCalls.collect_garbage, _calls)
usage = calling(StoreCalls.usage, _calls)
scan = calling(StoreCalls.scan, _calls)
allow = calling(StoreCalls.allow, _calls)
sign = calling(StoreCalls.sign, _calls)
verify_signature = calling(StoreCalls.verify_signature, _calls)
