"""What an output is made of and from: its facts, and which files make which unit.

Both are written before the first part, and hold for all later runs: rows of two models or options
never mix, and each file is in one unit, whatever is added to the inputs later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from keypoints.bulk.inputs import FACTS, Unit, make_units
from keypoints.bulk.store import Store
from keypoints.bulk.tables import PICTURES
from keypoints.errors import InputError

UNITS = "units.jsonl"
SIZE = 200  # most picture files of a unit: about 10 s of one core
PER_WORKER = 4  # units that each worker gets at least, where there are few pictures


def check_facts(store: Store, facts: dict[str, Any]) -> None:
    """Check that nothing made the output so far, or what `facts` says.

    A fact with another one NAME_sha256 beside it is there to be read; the other one is compared.
    Raises InputError where it was made by another model or with other options, and where the
    folder holds something else.
    """
    data = store.read(FACTS)
    if data is None:
        if store.names():
            raise InputError(
                f"output={store.url} holds other files; name a new folder, or one of this command"
            )
        return
    try:
        found = json.loads(data)
    except ValueError as error:
        raise InputError(f"{store.url}/{FACTS} is damaged: {error}") from None
    found = found if isinstance(found, dict) else {}
    for name in facts:
        if f"{name}_sha256" in facts or found.get(name) == facts[name]:
            continue  # how a model or filter was named says nothing: its file decides
        typed = name.removesuffix("_sha256")
        shown = typed if found.get(typed) != facts.get(typed) else name
        raise InputError(
            f"output={store.url} was made with {shown}={found.get(shown)}, now it is "
            f"{facts[shown]}; name another folder, so that results do not mix"
        )


def write_facts(store: Store, facts: dict[str, Any]) -> None:
    """Begin an output, unless that is done."""
    if store.read(FACTS) is None:
        store.write(FACTS, (json.dumps(facts, indent=2) + "\n").encode())


def left_sources(store: Store, sources: Sequence[str]) -> list[str]:
    """Those of `sources` that are not annotated yet."""
    done = finished(store)
    units = read_units(store)
    left = {source for unit in units if unit.name not in done for source in unit.sources}
    planned = {source for unit in units for source in unit.sources}
    return [source for source in sources if source in left or source not in planned]


def plan_units(store: Store, sources: Sequence[str], workers: int) -> list[Unit]:
    """The units of `sources` that are not finished; new sources are added to the plan."""
    known = read_units(store)
    planned = {source for unit in known for source in unit.sources}
    new = [source for source in sources if source not in planned]
    size = min(max(-(-len(new) // (PER_WORKER * workers)), 1), SIZE)
    units = [*known, *make_units(new, size)]
    if new:
        lines = (json.dumps({"sources": unit.sources, "group": unit.group}) for unit in units)
        store.write(UNITS, "".join(f"{line}\n" for line in lines).encode())
    wanted, done = set(sources), finished(store)
    return [u for u in units if u.name not in done and not wanted.isdisjoint(u.sources)]


def read_units(store: Store) -> list[Unit]:
    """All units of the output so far."""
    lines = (store.read(UNITS) or b"").decode().splitlines()
    try:
        found = [json.loads(line) for line in lines]
        return [Unit(tuple(unit["sources"]), unit["group"]) for unit in found]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{store.url}/{UNITS} is damaged: {error}") from None


def finished(store: Store) -> set[str]:
    """The names of the units whose parts are there."""
    return {name.removesuffix(".parquet") for name in store.names(PICTURES)}
