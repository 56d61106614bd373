"""Throughput of annotation: the rate by hand, and one worker beside one process."""

import math

import pytest

from benchmarks import annotation
from benchmarks.annotation import Span, steady_rate


def spans(process: int, times: list[tuple[float, float]], pictures: int) -> list[Span]:
    return [Span(process, begin, end, 0.1, pictures, 100.0) for begin, end in times]


def test_the_rate_while_all_processes_work_by_hand():
    """Both work from 4, when the second has loaded, to 10, when the first has done its last.

    In these 6 s: of the first process a unit and two thirds of one, of the second one and a half.
    """
    first = spans(1, [(0, 3), (3, 6), (6, 10)], 12)
    second = spans(2, [(0, 4), (4, 8), (8, 12)], 12)
    assert steady_rate(first + second) == pytest.approx((8 + 12 + 12 + 6) / 6)
    assert steady_rate(first) == pytest.approx(24 / 7)


def test_no_rate_of_a_process_with_a_single_unit():
    assert math.isnan(steady_rate(spans(1, [(0, 3), (3, 6)], 12) + spans(2, [(0, 3)], 12)))


@pytest.mark.long
@pytest.mark.slow
def test_one_worker_beside_one_process(monkeypatch):
    for name, value in (("WORKERS", (1,)), ("PICTURES", 6), ("UNIT", 2)):
        monkeypatch.setattr(annotation, name, value)
    alone, free, ray = annotation.measure_annotation("pretrained-small", repeats=1)
    assert (alone.name, free.name) == (annotation.ALONE, annotation.FREE)
    assert ray.name == "Ray, 1 worker" and alone.ratio == 1
    assert all(row.median > 0 and row.note.startswith("CPU ") for row in (alone, free, ray))
