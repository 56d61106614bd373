"""Start of every command: python-fire, but all arguments are checked before anything runs.

Fire alone guesses the type of every value (`2024_01` becomes a number, `a#1.csv` loses its end)
and complains about a misspelt flag after the function has run, which for a training is hours
later. Here values stay text until they are converted to the type that the function declares, and
all of them are bound to its signature before the call.
"""

import functools
import importlib
import inspect
import os
import re
import signal
import sys
import types
import typing
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import Any

import keypoints
from keypoints.errors import InputError, near_miss
from keypoints.system import backend
from keypoints.system.extras import missing_extra

POSITIONAL_OR_KEYWORD = Parameter.POSITIONAL_OR_KEYWORD
VAR_POSITIONAL, VAR_KEYWORD = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD

# Names of the commands, with the line that `keypoints --help` shows.
COMMANDS = {
    "train": "train a network into a run folder",
    "recalibrate": "fit the uncertainties and the face score of a run to its validation data",
    "evaluate": "evaluate a model, or predictions of another program",
    "webcam": "show landmarks or a filter live on a camera",
    "filter": "draw a face filter on pictures and videos",
    "annotate": "write the landmarks of many pictures to Parquet, on all cores or a Ray cluster",
    "label": "correct the points that a model proposes, in the browser",
    "web": "serve the browser page: landmarks and filters on this machine's camera",
    "export": "write SavedModel, ONNX, LiteRT and int8 files",
    "benchmark": "measure speed and compare it with a baseline, in a checkout",
    "doctor": "print versions, devices, cameras, codecs and folders for a bug report",
    "convert": "write the annotations of a folder in the format of another tool",
    "markup": "describe the points of a folder: mirror pairs, and a sheet to check them",
    "pack": "write data sets as small tar shards, to train on another machine",
    "label_noise": "estimate the annotation noise of a data set, in a checkout",
}
# Those that only a checkout has, for developers, and where.
IN_CHECKOUT = {
    "benchmark": "benchmarks.__main__",
    "label_noise": "experiments.label_noise.__main__",
}


def main() -> None:
    """The console command: `keypoints COMMAND [ARGUMENTS]`."""
    name, *argv = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: keypoints COMMAND [ARGUMENTS]\n\ncommands:")
        for command, meaning in COMMANDS.items():
            print(f"  {command:<{width}}  {meaning}")
        print("\nkeypoints COMMAND --help shows the options of a command")
        return
    if name == "--version":
        print(keypoints.__version__)
        return
    command = name.replace("-", "_")
    try:
        function = load_command(command)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    run_command(function, argv, name=f"keypoints {command}")


def run_tool(name: str) -> None:
    """The command `name` of `COMMANDS` as `python -m tools.NAME`."""
    run_command(load_command(name), name=f"tools.{name}")


def load_command(name: str) -> Callable[..., None]:
    """The function of a command of `COMMANDS`; raises InputError where it is not there."""
    if name not in COMMANDS:
        raise InputError(f"unknown command {name!r}{near_miss(name, list(COMMANDS))}")
    module = IN_CHECKOUT.get(name, f"keypoints.commands.{name}")
    if name in IN_CHECKOUT:
        root = Path(__file__).parents[2]
        if not (root / "pyproject.toml").is_file():
            raise InputError(f"{name} is a command of a checkout of the source repository")
        sys.path.append(str(root))
    return getattr(importlib.import_module(module), name)


def run_command(
    function: Callable[..., None], argv: list[str] | None = None, *, name: str | None = None
) -> None:
    """Run `function` on the command line; bad input ends in one line and exit code 2."""
    import fire

    argv = sys.argv[1:] if argv is None else argv
    name = name or function.__name__
    try:
        if {"-h", "--help"} & set(argv):
            print(_help(function, name), flush=True)
            sys.exit(0)
        backend.configure()
        fire.Fire(_checked(function), command=_explicit(function, argv), name=name)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the exit
        sys.exit(128 + getattr(signal, "SIGPIPE", 13))  # Windows has no such signal
    except (InputError, OSError) as error:
        reason = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            reason = f"{error.filename}: {error.strerror}"
        print(f"error: {reason}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = missing_extra(error)
        if extra is None:
            raise
        print(f"error: {name} needs {error.name}: {extra}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _help(function: Callable[..., None], name: str) -> str:
    """Fire's help page without a pager and without short forms of flags, which may be ambiguous."""
    from fire import helptext, trace

    page = helptext.HelpText(function, trace.FireTrace(function, name=name))
    words = []
    for parameter in inspect.signature(function).parameters.values():
        word = parameter.name.upper()
        if parameter.kind == VAR_POSITIONAL:
            words.append(f"{word} ...")
        elif parameter.kind == POSITIONAL_OR_KEYWORD:
            required = parameter.default is Parameter.empty
            words.append(word if required else f"[{word}]")
    synopsis = f"SYNOPSIS\n    {' '.join([name, *words])} [--FLAG=VALUE ...]"
    page = re.sub(r"(?m)^SYNOPSIS\n.*$", lambda _: synopsis, page)
    page = re.sub(r"(?m)^    -\w, --", "    --", page)
    for flag, heading in getattr(function, "headings", {}).items():
        page = page.replace(f"\n    --{flag}=", f"\n  {heading}\n    --{flag}=")
    return page


def _explicit(function: Callable[..., None], argv: list[str]) -> list[str]:
    """`argv` in the form that Fire cannot misread: every flag with `=` and its value.

    A flag without `=` takes the next word as its value. A boolean one does so only if that word is
    true or false, and means True otherwise.
    """
    parameters = inspect.signature(function).parameters
    explicit, words = [], list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or "=" in word or word == "--":
            explicit.append(word)
            continue
        flag = word[2:].replace("-", "_")
        if flag in parameters and isinstance(parameters[flag].default, bool):
            given = words and words[0].lower() in ("true", "false")
            explicit.append(f"{word}={words.pop(0) if given else True}")
        elif words and not words[0].startswith("--"):
            explicit.append(f"{word}={words.pop(0)}")
        elif flag in parameters:
            raise InputError(f"--{flag} is given without a value; write --{flag}=VALUE")
        else:
            explicit.append(f"{word}=True")
    return explicit


def _checked(function: Callable[..., None]) -> Callable[..., None]:
    """`function` behind a signature that takes any text and refuses invalid arguments."""
    from fire import decorators

    parameters = inspect.signature(function).parameters
    hints = typing.get_type_hints(function)
    kinds = {name: parameter.kind for name, parameter in parameters.items()}
    flags = [name for name, kind in kinds.items() if kind not in (VAR_POSITIONAL, VAR_KEYWORD)]
    positional = [name for name, kind in kinds.items() if kind == POSITIONAL_OR_KEYWORD]
    several = [name for name, kind in kinds.items() if kind == VAR_POSITIONAL]

    @decorators.SetParseFn(str)
    @functools.wraps(function)
    def checked(*arguments: str, **given: str) -> None:
        for name in given:
            if name not in flags:
                known = [f"--{flag}" for flag in flags]
                raise InputError(f"unknown flag --{name}{near_miss(f'--{name}', known)}")
        if len(arguments) > len(positional) and not several:
            spare = arguments[len(positional)]
            raise InputError(f"{spare!r}: one argument too many; write options as --name=value")
        for name, text in zip(positional, arguments):
            if name in given:
                raise InputError(f"{name} is given twice: {text!r} and as a flag")
            given[name] = text
        for name in several:
            if not arguments and not given:
                raise InputError(f"{name.upper()} is missing; see --help")
        for name in flags:
            if parameters[name].default is Parameter.empty and name not in given:
                shown = name.upper() if name in positional else f"--{name}"
                raise InputError(f"{shown} is missing; see --help")
        values = {
            name: _converted(name, text, hints.get(name, parameters[name].annotation))
            for name, text in given.items()
        }
        function(*(arguments if several else ()), **values)

    anything = {"arguments": VAR_POSITIONAL, "given": VAR_KEYWORD}
    checked.__signature__ = inspect.Signature([Parameter(*one) for one in anything.items()])
    return checked


def _converted(name: str, text: str, kind: Any) -> Any:
    """The text of a flag as the type `kind` that the function declares."""
    if isinstance(kind, types.UnionType):  # such as str | None: None is only the default
        (kind,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"--{name}={text}: write --{name}=True or --{name}=False")
        return text.lower() == "true"
    if not text:
        raise InputError(f"--{name}= has no value; write --{name}=VALUE")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise InputError(f"--{name}={text}: {wanted} is expected") from None
    return text
