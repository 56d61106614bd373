"""Fields of the config as flags of a command."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable

from keypoints.config import Config


def show_fields(function: Callable[..., None], names: Iterable[str] = ()) -> None:
    """Add fields of the config, all or `names`, to the signature and the help of `function`."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "fields"]
    headings = {}
    for entry in dataclasses.fields(Config):
        if entry.name != "stages" and (not names or entry.name in names):
            kind, default = inspect.Parameter.KEYWORD_ONLY, entry.default
            parameters.append(
                inspect.Parameter(entry.name, kind, default=default, annotation=type(default))
            )
            if not names and "heading" in entry.metadata:
                headings[entry.name] = entry.metadata["heading"]
            choices = entry.metadata.get("choices")
            known = f" ({', '.join(map(str, choices))})" if choices else ""
            line = f"    {entry.name}: {entry.metadata['meaning']}{known}\n    "
            function.__doc__ = (function.__doc__ or "") + line  # python -OO has no docstrings
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    function.headings = headings  # type: ignore[attr-defined]  # of groups, by their first flag
