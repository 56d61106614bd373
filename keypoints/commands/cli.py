"""How every tool starts: python-fire, but nothing runs before all arguments are understood.

Fire alone calls the function first and complains about a misspelt flag afterwards, which for a
training run is hours later. Here the flags are bound to the real signature before the call.
"""

import functools
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from keypoints.config import near_miss
from keypoints.errors import InputError


def run_command(function: Callable[..., None], argv: list[str] | None = None) -> None:
    """Run `function` on the command line; bad input ends in one line and exit code 2."""
    import fire

    argv = sys.argv[1:] if argv is None else argv
    name = f"tools.{function.__name__}"
    if {"-h", "--help"} & set(argv):
        print(_help(function, name))
        sys.exit(0)
    try:
        fire.Fire(_checked(function), command=argv, name=name)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _help(function: Callable[..., None], name: str) -> str:
    """Fire's page, not in a pager and without its short forms, which two flags may share."""
    from fire import helptext, trace

    page = helptext.HelpText(function, trace.FireTrace(function, name=name))
    return re.sub(r"(?m)^    -\w, --", "    --", page)


def _checked(function: Callable[..., None]) -> Callable[..., None]:
    """`function` behind a signature that takes anything, and refuses what does not fit."""
    parameters = inspect.signature(function).parameters
    flags = [name for name in parameters if parameters[name].kind != inspect.Parameter.VAR_KEYWORD]
    positional = [
        parameter
        for parameter in parameters.values()
        if parameter.kind == inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]

    @functools.wraps(function)
    def checked(*arguments: Any, **given: Any) -> None:
        for name in given:
            if name not in flags:
                known = [f"--{flag}" for flag in flags]
                raise InputError(f"unknown flag --{name}{near_miss(f'--{name}', known)}")
        if len(arguments) > len(positional):
            spare = arguments[len(positional)]
            raise InputError(f"{spare!r}: one argument too many; write options as --name=value")
        for parameter, value in zip(positional, arguments):
            if parameter.name in given:
                raise InputError(f"{parameter.name} is given twice: {value!r} and as a flag")
            given[parameter.name] = value
        for name in given:
            if isinstance(parameters[name].default, bool):
                given[name] = _truth(name, given[name])
            elif isinstance(given[name], bool):  # what Fire makes of --run and of --norun
                raise InputError(f"--{name} is given without a value; write --{name}=VALUE")
        for parameter in positional:
            if parameter.default is inspect.Parameter.empty and parameter.name not in given:
                raise InputError(f"{parameter.name.upper()} is missing; see --help")
        function(**given)

    checked.__signature__ = inspect.Signature(
        [
            inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("given", inspect.Parameter.VAR_KEYWORD),
        ]
    )
    return checked


def _truth(name: str, value: Any) -> bool:
    """Fire hands `--flag=false` over as text, and lets a bare flag swallow the next word."""
    word = str(value).lower()
    if word not in ("true", "false"):
        raise InputError(f"--{name}={value}: write --{name}=True or --{name}=False")
    return word == "true"
