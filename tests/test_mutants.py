"""The list of wrong changes fits the code: `make mutants`, which takes long, tries them."""

from tests import mutants


def test_each_listed_change_fits_one_place():
    listed = list(mutants.read(mutants.LIST.read_text()))
    assert len(listed) > 300
    for mutant in listed:
        source = (mutants.ROOT / mutant.file).read_text()
        assert mutants.changed(source, mutant) != source
        for place in mutant.tests:
            path, _, test = place.partition("::")
            assert f"def {test}" in (mutants.ROOT / path).read_text(), mutant
