"""The exception for invalid input."""


class InputError(ValueError):
    """Invalid user input: a file, a field or a flag.

    The message names it, its value and what is expected. Commands print one line and exit with 2.
    """
