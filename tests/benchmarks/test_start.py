"""Starts on many pictures: the rows by hand, and how long the real ones take."""

import time

import pytest

from benchmarks import start


def test_the_ratio_is_of_the_time_a_picture(monkeypatch):
    """Evaluate takes 1 ms a picture, filter a microsecond for each pair of them."""
    passed = {"start_filter": lambda n: n * n * 1e-6, "start_annotate": lambda n: 0.5 * n,
              "start_evaluate": lambda n: 1e-3 * n}  # fmt: skip
    for name, cost in passed.items():
        monkeypatch.setattr(start, name, cost)
    monkeypatch.setattr(start, "write_pictures", lambda folder, count: count)
    monkeypatch.setattr(start, "seconds", lambda call, count: call(count))
    rows = {row.name: row for row in start.measure_starts(repeats=1)}
    assert rows["filter, 10,000 pictures"].ratio == pytest.approx(0.1)
    assert rows["annotate, 10,000 pictures"].ratio == pytest.approx(1)
    assert rows["evaluate, 10,000 pictures"].median == pytest.approx(1e4)
    assert all(rows[name].ratio == 1 for name in rows if " 1,000" in name)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("pictures")
    return {count: start.write_pictures(base / str(count), count) for count in start.COUNTS}


@pytest.mark.parametrize("name", ["start_filter", "start_annotate", "start_evaluate"])
def test_a_start_on_10000_pictures_takes_two_seconds_at_most_and_is_linear(name, folders):
    """Ten times the pictures take about ten times as long, not a hundred times.

    The least of three, or of up to ten on a busy machine: CPU time grows where another process
    shares the core.
    """
    spent = {count: [] for count in start.COUNTS}
    for turn in range(10):
        for count in start.COUNTS:
            begin = time.process_time()
            getattr(start, name)(folders[count])
            spent[count].append(time.process_time() - begin)
        small, large = (min(spent[count]) for count in start.COUNTS)
        if turn >= 2 and large < 2:
            break
    assert large < 2 and large < 30 * small + 0.05
