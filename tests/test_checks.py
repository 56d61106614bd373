import pytest

from keypoints import checks
from keypoints.checks import Table
from keypoints.errors import InputError

NO_NUMBERS = [True, "3", None, [3], float("nan"), float("inf"), 10**400, -(10**400)]


def test_values_come_back_in_their_type():
    assert checks.number(3, "--a", low=3) == 3.0 and type(checks.number(3, "--a")) is float
    assert checks.whole(3, "--a", low=0, high=3) == 3
    assert checks.numbers((1, 2.5), "--a", 2) == [1.0, 2.5]
    assert checks.indices([4, 0], "--a", 5) == (4, 0)
    assert checks.one_of("b", "--a", ["a", "b"]) == "b"


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_finite_number_is_refused_everywhere(value):
    for check in (checks.number, checks.whole):
        with pytest.raises(InputError, match=r"^--a=.* is expected$"):
            check(value, "--a")
    with pytest.raises(InputError, match="2 numbers are expected"):
        checks.numbers([1, value], "--a", 2)
    with pytest.raises(InputError, match="a list of numbers from 0 to 4 is expected"):
        checks.indices([value], "--a", 5)


@pytest.mark.parametrize(
    ("limits", "span"),
    [
        ({"low": 5}, "of at least 5"),
        ({"high": 2.5}, "of at most 2.5"),
        ({"low": 5, "high": 6}, "from 5 to 6"),
        ({"low": 0, "high": 2}, "from 0 to 2"),
    ],
)
def test_a_number_out_of_range_is_told_the_range(limits, span):
    with pytest.raises(InputError, match=f"^x=3: a number {span} is expected$"):
        checks.number(3, "x", **limits)
    with pytest.raises(InputError, match=f"^x=3: a whole number {span} is expected$"):
        checks.whole(3, "x", **limits)


def test_choices_are_of_their_type():
    assert checks.one_of(56, "size", (56, 112)) == 56
    for value in (56.0, True, "56", [56]):
        with pytest.raises(InputError, match="is not known"):
            checks.one_of(value, "size", (56, 112, 1))


@pytest.mark.parametrize("parse", [checks.json_object, checks.toml_table])
@pytest.mark.parametrize("data", [b"\xff", b"{", b"a = [" + b"[" * 100_000, b'{"a": ' * 100_000])
def test_a_file_that_cannot_be_parsed_is_named_in_one_line(parse, data):
    with pytest.raises(InputError, match=r"^f:? (is not JSON|invalid TOML): [^\n]*$"):
        parse(data, "f")


def test_a_table_is_read_field_by_field_and_then_closed():
    table = Table("f", {"a": 1, "b": {"c": "x"}, "d": [{"e": 2}, {"e": "3"}], "typo": 0})
    assert table.number("a") == 1 and table.number("z", 7.0) == 7
    inner = table.table("b")
    assert inner.one_of("c", ["x", "y"]) == "x"
    inner.close()
    first, second = table.tables("d", "part", most=9)
    assert first.number("e") == 2
    with pytest.raises(InputError, match=r"^f: part 2: e='3': a number is expected$"):
        second.number("e")
    with pytest.raises(InputError, match=r"^f: gone is missing; given: a, b, d, typo$"):
        table.text("gone")
    with pytest.raises(InputError, match=r"^f: unknown field 'typo'; known: a, z, b, d, gone$"):
        table.close()
