"""Starts on many pictures: the rows by hand, and that the real ones do not grow with the square."""

import time

import pytest

from keypoints.benchmarks import start


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


@pytest.mark.parametrize("name", ["start_filter", "start_annotate", "start_evaluate"])
def test_a_start_is_linear(name, tmp_path):
    """Eight times the pictures take about eight times as long, not 64 times."""
    call = getattr(start, name)
    folders = {count: start.write_pictures(tmp_path / str(count), count) for count in (250, 2000)}
    call(folders[250])  # imports
    spent = {}
    for count, folder in folders.items():
        begin = time.process_time()
        call(folder)
        spent[count] = time.process_time() - begin
    assert spent[2000] < 24 * spent[250] + 0.05
