"""The one exception that means: the input is wrong, and here is what would be right."""


class InputError(ValueError):
    """Bad input from the user: a file, a field, a flag. Tools print it in one line and exit 2."""
