"""The progress line of a command on a terminal."""

import shutil
import sys
import time


def overwrite(line: str) -> None:
    """Show `line` in place of the last one; spaces erase it, as not all consoles know codes."""
    width = shutil.get_terminal_size().columns - 1
    print(f"\r{line[:width]:<{width}}\r", end="", file=sys.stderr, flush=True)


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Progress:
    """A progress line on a terminal; nothing in a log."""

    def __init__(self, noun: str):
        self.noun, self.start, self.shown = noun, time.monotonic(), 0.0

    def show(self, done: float, total: int) -> None:
        """Show `done` of `total`, which is 0 if unknown; a part of one counts too."""
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self.shown < 0.1:
            return
        self.shown = now
        speed = done / max(now - self.start, 1e-6)
        line = f"{int(done)} {self.noun}, {speed:.0f} a second"
        if total and speed:
            share = min(done / total, 1)
            left = int(max(total - done, 0) / speed)
            line = f"[{'=' * int(30 * share):<30}] {int(done)}/{total} {self.noun}, "
            line += f"{speed:.0f} a second, {left // 60}:{left % 60:02} left"
        overwrite(line)

    def clear(self) -> None:
        """Remove the line, so that others can be printed."""
        if self.shown:
            self.shown = 0.0
            overwrite("")
