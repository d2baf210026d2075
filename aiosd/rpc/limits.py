"""How long fields from the wire may be: far more than anybody needs, and little enough to hold, store and print."""

NAME = 256  # characters, of names, queues, accounts, ids
REASON = 4096
PATH = 4096  # PATH_MAX of Linux
COMMAND_TEXT = 1 << 20  # a command line for the shell, and the like
SELECTED = 10_000  # jobs in one selection, ids in one filter
CHOICES = 1000  # users, queues, labels, dependencies
ARGUMENTS = 100_000  # of one command
VARIABLES = 100_000  # of one environment
