import pytest

from keypoints.system.paths import stays_inside


@pytest.mark.parametrize("name", ["a.png", "a/b.png", "a\\b.png", "a..b/..c", "...", "é (1).png"])
def test_names_inside(name):
    assert stays_inside(name)


@pytest.mark.parametrize(
    "name",
    ["../a", "a/../../b", "a/..", "..", "..\\a", "a\\..\\..\\b", "a/.. /b", "/a", "\\a",
     "//host/a", "\\\\host\\a", "C:/a", "c:a", "file:///../a", "a\0b"],
)  # fmt: skip
def test_names_that_lead_out(name):
    assert not stays_inside(name)
