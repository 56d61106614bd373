"""The work of one process on units: the networks are loaded once, parts are written whole.

A picture may end the process that reads it: a decoder crashes, or memory runs out. So each try at a
unit leaves a note while it runs. A note that is found tells that the last try ended with its
process: the unit is done again picture by picture, each of which is noted, and a picture with which
two processes ended is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from keypoints.bulk import plan, tables
from keypoints.bulk.annotator import Annotator, Draw
from keypoints.bulk.inputs import Picture, Unit, read_unit, refuse
from keypoints.bulk.store import Store
from keypoints.errors import InputError
from keypoints.markup import IBUG68, Markup

if TYPE_CHECKING:
    from keypoints.filters.engine import Filter

ATTEMPTS = "attempts"  # folder of the notes
FILTERED = "filtered"  # folder of the pictures with a filter
GUILTY = 2  # ended processes after which a picture is not decoded
ENDING = 3  # and after which a container is not read beyond it
REASONS = 5  # of pictures that could not be read, told for each unit


@dataclass(frozen=True)
class Work:
    """What every worker process gets, on whatever machine it runs."""

    output: str  # path or URL of the output's folder
    facts: tuple[tuple[str, Any], ...]  # of the output, as in `plan.check_facts`
    model: str  # name of a bundled model or path of another
    version: str  # SHA-256 of its file
    filter: str | None = None  # drawn on the pictures: a bundled one, or the path of its folder
    outside: bool = False  # tables may name pictures that are not in their folder
    threads: int = 1  # of each network
    markup: Markup = IBUG68  # of the points of the model

    def annotator(self, filter: Filter | None) -> Annotator:
        """Load the networks, whose search is for what is drawn with `filter`.

        Raises InputError where the model's file is not `version`.
        """
        from keypoints.filters.policy import search_policy
        from keypoints.inference import detectors
        from keypoints.inference.predictor import Predictor

        cv2.setNumThreads(self.threads)
        predictor = Predictor.load(self.model, threads=self.threads)
        if predictor.network.digest != self.version:
            raise InputError(f"model={self.model}: on this machine it is another file")
        still, moving = (
            search_policy(filter, moving=moving).load(detectors.DEFAULT, threads=self.threads)
            for moving in (False, True)
        )
        return Annotator(predictor, still, moving, model=self.model, version=self.version)


def annotate_unit(work: Work, unit: Unit) -> tables.Counts:
    """Annotate a unit, unless that is done, and return its counts.

    Raises InputError where the output or the model is not the one that the work is about.
    """
    store, annotator, filter = _loaded(work)
    done = tables.read_counts(store, unit.name, REASONS)
    if done is not None:
        return done
    draw = None
    if filter is not None:
        draw = partial(_draw_filter, filter, store, unit.name)
    attempt = _Attempt(store, unit.name)
    if attempt.first:
        rows = annotator.annotate(read_unit(unit, outside=work.outside), draw=draw)
    else:
        rows = _one_by_one(attempt, annotator, read_unit(unit, outside=work.outside), unit, draw)
    counts = tables.write_parts(store, unit.name, rows, REASONS, markup=work.markup)
    attempt.end()
    return counts


def forget_attempts(store: Store) -> None:
    """Remove the notes of processes that were ended from outside, half written ones too."""
    store.remove_folder(ATTEMPTS)


@cache
def _loaded(work: Work) -> tuple[Store, Annotator, Filter | None]:
    """Once in each process."""
    store = Store(work.output)
    if store.read(plan.FACTS) is None:
        raise InputError(
            f"output={work.output} is not shared by all machines of the cluster; name a folder "
            "that is, or a URL"
        )
    facts = dict(work.facts)
    plan.check_facts(store, facts)
    filter = _load_filter(work.filter, facts.get("filter_sha256"), work.markup)
    return store, work.annotator(filter), filter


def _one_by_one(
    attempt: _Attempt,
    annotator: Annotator,
    pictures: Iterator[Picture],
    unit: Unit,
    draw: Draw | None,
) -> Iterator[tables.Annotated]:
    for number in count():
        ended = attempt.enter(number)
        reason = f"each process that read it ended, {ended} in all"
        if ended >= ENDING:  # though it was not decoded
            reason = f"{unit.sources[0]}: {reason}; nothing behind it was read"
            picture: Picture | None = Picture(
                unit.sources[0], partial(refuse, reason), frame=number
            )
            pictures = iter(())
        else:
            picture = next(pictures, None)
        if picture is None:
            return
        if ended == GUILTY:
            name = f"{picture.source}{picture.member and ': '}{picture.member}"
            picture = replace(picture, load=partial(refuse, f"{name}: {reason}"))
        yield from annotator.annotate([picture], first=number, draw=draw)


class _Attempt:
    """The note of a try at a unit: at which picture it is, and with which ones processes ended."""

    def __init__(self, store: Store, unit: str) -> None:
        self._store, self._name = store, f"{ATTEMPTS}/{unit}.json"
        note = store.read(self._name)
        self.first = note is None
        found = json.loads(note) if note else {"at": None, "ended": {}}
        self._ended: dict[str, int] = found["ended"]
        if found["at"] is not None:
            self._ended[found["at"]] = self._ended.get(found["at"], 0) + 1
        self._write(None)

    def enter(self, number: int) -> int:
        """Note that the picture `number` is next; returns how many processes ended with it."""
        self._write(str(number))
        return self._ended.get(str(number), 0)

    def end(self) -> None:
        self._store.remove(self._name)

    def _write(self, at: str | None) -> None:
        self._store.write(self._name, json.dumps({"at": at, "ended": self._ended}).encode())


def _draw_filter(
    filter: Filter,
    store: Store,
    unit: str,
    number: int,
    image: np.ndarray,
    points: np.ndarray,
    scores: np.ndarray,
    boxes: np.ndarray,
) -> str:
    """Write the picture with the filter on its faces; returns its file in the output.

    It is drawn on what is likely to be a face. A filter that hides who somebody is covers the other
    boxes of the detector too. The file's name has nothing of the input's.
    """
    from keypoints.estimate import SCORE_THRESHOLD
    from keypoints.media import picture_writer, pictures

    sure = scores >= SCORE_THRESHOLD
    target = f"{FILTERED}/{unit}/{number:06d}.jpg"
    with store.replacing(target) as temporary:
        shown = pictures.Still(filter.apply(image, points[sure], boxes=boxes[~sure]))
        picture_writer.save(Path(temporary), [shown])
    return target


def _load_filter(name: str | None, version: str | None, markup: Markup) -> Filter | None:
    from keypoints.filters import filter_digest, load_filter

    if name is None:
        return None
    if filter_digest(name) != version:
        raise InputError(f"filter={name}: on this machine it is another one")
    return load_filter(name, markup)
