"""What an output is made of and from, and that its files appear whole."""

import json
import uuid
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keypoints.bulk import plan, tables
from keypoints.bulk.inputs import read_unit
from keypoints.bulk.store import Store
from keypoints.errors import InputError
from keypoints.markup import bundled
from tests.bulk.stand_ins import Answers, make_annotator, write_pictures


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    """An output on disk, and one in a file system without a disk."""
    memory = f"memory://{uuid.uuid4().hex}/out"
    return Store(str(tmp_path / "out") if request.param == "disk" else memory)


def annotate(store: Store, unit) -> tables.Counts:
    rows = make_annotator(Answers()).annotate(read_unit(unit))
    return tables.write_parts(store, unit.name, rows, 5)


def test_each_file_is_in_one_unit_whatever_is_added(store, tmp_path):
    sources = write_pictures(tmp_path / "in", 20)
    some = sources[4:14]
    first = plan.plan_units(store, some, workers=1)
    assert [len(unit.sources) for unit in first] == [3, 3, 3, 1]
    counts = annotate(store, first[0])
    assert (counts.pictures, counts.faces) == (3, 2 + 3 + 1)
    assert plan.left_sources(store, sources) == sources[:4] + sources[7:]
    then = plan.plan_units(store, sources, workers=1)
    for unit in then:
        annotate(store, unit)
    rows = tables.read_table(store.url, tables.PICTURES).to_pylist()
    assert sorted(row["source"] for row in rows) == sources
    assert plan.plan_units(store, sources, workers=1) == []
    assert len(tables.read_table(store.url)) == sum(row["faces"] for row in rows)


def test_the_table_of_faces_says_what_its_points_are(store):
    """As JSON in the metadata of the file; there are as many points as the markup has."""
    five = bundled("five")
    tables.write_parts(store, "a", [], 5, markup=five)
    schema = pq.read_schema(pa.BufferReader(store.read("faces/a.parquet")))
    assert json.loads(schema.metadata[b"markup"]) == five.content()
    assert schema.field("points").type.list_size == 10
    assert b"markup" not in (
        pq.read_schema(pa.BufferReader(store.read("pictures/a.parquet"))).metadata or {}
    )


def test_unreadable_pictures_are_counted_and_some_reasons_kept(store, tmp_path):
    (tmp_path / "in").mkdir()
    names = [str(tmp_path / "in" / f"{number}.png") for number in range(4)]
    for name in names:
        Path(name).write_bytes(b"no picture")
    (unit,) = plan.make_units(names, 9)
    rows = make_annotator(Answers()).annotate(read_unit(unit))
    counts = tables.write_parts(store, unit.name, rows, 3)
    assert (counts.pictures, counts.faces, counts.unreadable) == (4, 0, 4)
    assert [error.partition(":")[0] for error in counts.errors] == names[:3]
    assert tables.read_counts(store, unit.name, 3) == counts


def test_what_is_finished_is_read_and_counted_again(store, tmp_path):
    """Of a unit without its part of pictures nothing is read: that of the faces came first."""
    (unit,) = plan.make_units(write_pictures(tmp_path / "in", 3), 9)
    counts = annotate(store, unit)
    assert (counts.pictures, counts.faces) == (3, 6)
    assert tables.read_counts(store, unit.name, 5) == counts
    assert tables.read_counts(store, "another", 5) is None
    store.write("faces/another.parquet", b"of a unit that is not finished")
    assert len(tables.read_table(store.url)) == 6
    assert len(tables.read_table(store.url, tables.PICTURES)) == 3


def test_names_of_any_bytes_can_be_written():
    assert tables.text_of("grün.png") == "grün.png"
    assert tables.text_of("a\udcff.png") == "a\\udcff.png"


def test_a_part_that_is_not_whole_is_not_there(store, tmp_path):
    (unit,) = plan.plan_units(store, write_pictures(tmp_path / "in", 1), workers=1)

    def rows():
        yield from make_annotator(Answers()).annotate(read_unit(unit))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tables.write_parts(store, unit.name, rows(), 5)
    assert store.names(tables.FACES) == store.names(tables.PICTURES) == set()
    with pytest.raises(InputError, match="no annotation is there"):
        tables.read_table(store.url)


def test_the_pictures_appear_after_their_faces(store, tmp_path, monkeypatch):
    """Where the part of the pictures is, a run that goes on takes that of the faces for whole."""
    (unit,) = plan.plan_units(store, write_pictures(tmp_path / "in", 1), workers=1)
    whole, appeared = Store.replacing, []

    @contextmanager
    def replacing(self, name):
        with whole(self, name) as temporary:
            yield temporary
        appeared.append(name)

    monkeypatch.setattr(Store, "replacing", replacing)
    annotate(store, unit)
    assert appeared == [f"faces/{unit.name}.parquet", f"pictures/{unit.name}.parquet"]


def test_another_model_is_refused_and_named(store):
    facts = {"model": "a", "filter": None}
    plan.check_facts(store, facts)
    plan.write_facts(store, facts)
    plan.check_facts(store, facts)
    with pytest.raises(InputError, match="was made with model=a, now it is b; name another folder"):
        plan.check_facts(store, facts | {"model": "b"})
    with pytest.raises(InputError, match="filter=None, now it is crown"):
        plan.check_facts(store, facts | {"filter": "crown"})
    assert json.loads(store.read(plan.FACTS)) == facts
    store.write(plan.FACTS, b"[")
    with pytest.raises(InputError, match=r"annotation.json is damaged"):
        plan.check_facts(store, facts)
    store.write(plan.UNITS, b"{}\n")
    with pytest.raises(InputError, match=r"units.jsonl is damaged"):
        plan.read_units(store)


def test_how_a_model_or_filter_is_named_says_nothing(store):
    """The digests of their files decide; the names are there to be read."""
    facts = {"model": "runs/a", "model_sha256": "1", "filter": "./mine", "filter_sha256": "2"}
    plan.write_facts(store, facts)
    plan.check_facts(store, facts | {"model": "./runs/a/", "filter": "mine"})
    with pytest.raises(InputError, match="was made with filter_sha256=2, now it is 3; name"):
        plan.check_facts(store, facts | {"filter_sha256": "3"})
    with pytest.raises(InputError, match=r"was made with filter=\./mine, now it is crown; name"):
        plan.check_facts(store, facts | {"filter": "crown", "filter_sha256": "3"})
    with pytest.raises(InputError, match="was made with model=runs/a, now it is runs/b; name"):
        plan.check_facts(store, facts | {"model": "runs/b", "model_sha256": "4"})


def test_a_folder_with_other_files_is_refused(store):
    store.write("holiday.txt", b"")
    with pytest.raises(InputError, match="holds other files"):
        plan.check_facts(store, {})


def test_a_failed_last_step_keeps_the_older_file_and_leaves_nothing(monkeypatch):
    url = f"memory://{uuid.uuid4().hex}/out"
    store = Store(url)
    store.write("units.jsonl", b"older")
    system, root = fsspec.core.url_to_fs(url)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(system, "mv", full)
    with pytest.raises(OSError, match="No space left"):
        store.write("units.jsonl", b"newer")
    assert store.read("units.jsonl") == b"older"
    assert [path.rpartition("/")[2] for path in system.find(root)] == ["units.jsonl"]


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    store, other = Store(str(tmp_path / "out")), Store(f"file://{tmp_path}/out")
    busy = pytest.raises(InputError, match="another run writes to it")
    with store.locked(), busy, other.locked():
        pass
    with other.locked():
        pass


def test_an_output_that_cannot_be_had(tmp_path):
    with pytest.raises(InputError, match=r"^output=nowhere://x: Protocol not known"):
        Store("nowhere://x")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; a folder is expected"):
        Store(str(tmp_path / "file"))
