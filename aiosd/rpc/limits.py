"""How long fields from the wire may be: far more than anybody needs, and little enough to hold, to log and to print."""

TEXT = 4096  # characters, of names, ids, tokens of pages
REASON = 4096
PATH = 16_384  # a path may have four times the bytes of PATH_MAX when it is written in escapes
RANGES = 1 << 20  # of the indices of an array
COMMAND_TEXT = 1 << 20  # a command line for the shell
NAME = 256  # of keys
SELECTED = 10_000  # jobs in one selection, ids in one filter, dependencies of one job
CHOICES = 1000  # users, queues, phases, labels
ARGUMENTS = 1_000_000  # of one command
VARIABLES = 100_000  # of one environment
