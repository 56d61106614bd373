"""The exception for invalid input, and the parts of its messages that many share."""

import difflib
from collections.abc import Sequence

MAX_MESSAGES = 20  # errors that are listed; of the others only the number is given


class InputError(ValueError):
    """Invalid user input: a file, a field or a flag.

    The message names it, its value and what is expected. Commands print one line and exit with 2.
    """


def near_miss(name: str, known: Sequence[str]) -> str:
    """A suggestion to append to an error message: the closest known name, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known) or 'none'}"


def refuse(problems: list[str], source: str) -> None:
    """Raise one InputError for all of `problems`, if there are any."""
    if problems:
        rest = len(problems) - MAX_MESSAGES
        more = f"\n  and {rest} more" if rest > 0 else ""
        listed = "\n  ".join(problems[:MAX_MESSAGES])
        entries = "bad entry" if len(problems) == 1 else "bad entries"
        raise InputError(f"{source} has {len(problems)} {entries}:\n  {listed}{more}")
