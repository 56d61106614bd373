import pytest

from keypoints import config as configs
from keypoints.config import Config
from keypoints.errors import InputError


def test_json_round_trip():
    config = Config(epochs=3, stages=({"epochs": 1}, {"epochs": 2, "rotation": 5.0}))
    assert configs.from_json(configs.to_json(config), "x") == config


def test_a_config_with_stages_is_immutable_and_hashable():
    stage = {"epochs": 1}
    config = Config(stages=(stage,))
    stage["epochs"] = -5
    assert config.stages[0]["epochs"] == 1
    with pytest.raises(TypeError, match="does not support item assignment"):
        config.stages[0]["epochs"] = -5
    same, other = (Config(stages=({"epochs": n},)) for n in (1, 2))
    assert len({config, same, other}) == 2 and config == same


def test_stage_configs_replace_fields_of_the_config():
    config = Config(rotation=9.0, stages=({"epochs": 1}, {"epochs": 2, "rotation": 5.0}))
    assert [(p.epochs, p.rotation, p.stages) for p in config.stage_configs()] == [
        (1, 9.0, ()),
        (2, 5.0, ()),
    ]
    assert Config(epochs=7).stage_configs() == [Config(epochs=7)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roation": 5}, "did you mean 'rotation'"),
        ({"rotation": 190}, "rotation=190: a number from 0 to 180"),
        ({"rotation": float("nan")}, "rotation=nan"),
        ({"rotation": "wide"}, "rotation='wide': a number from 0 to 180"),
        ({"epochs": 2.5}, "epochs=2.5: a whole number of at least 1"),
        ({"epochs": 0}, "epochs=0: a whole number of at least 1"),
        ({"epochs": True}, "epochs=True: a whole number"),
        ({"loss": "wings"}, "did you mean 'wing'"),
        ({"resolution": 100}, "resolution=100 is not known"),
        ({"stages": ({"epohcs": 3},)}, "did you mean 'epochs'"),
        ({"stages": 3}, "stages=3"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(changes, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        configs.replace(Config(), changes)


def test_a_whole_number_is_a_float_where_one_is_expected():
    config = configs.replace(Config(), {"rotation": 5})
    assert isinstance(config.rotation, float)


def test_an_override_wins_in_every_stage():
    config = Config(stages=({"epochs": 2, "rotation": 5.0}, {"epochs": 3, "resolution": 112}))
    found = configs.override(config, {"epochs": 1, "batch_size": 4})
    assert [(p.epochs, p.batch_size, p.rotation, p.resolution) for p in found.stage_configs()] == [
        (1, 4, 5.0, 224),
        (1, 4, 30.0, 112),
    ]


@pytest.mark.parametrize("name", configs.FIXED)
def test_a_stage_cannot_set_what_holds_for_the_whole_run(name):
    value = getattr(Config(), name)
    with pytest.raises(InputError, match=f"stage 2 sets {name}, which is the same for the whole"):
        Config(stages=({"epochs": 2}, {name: value}))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"epochs": "many"}',
        '{"epoch": 1}',
        '{"epochs": null}',
        '{"stages": [3]}',
        '{"stages": [{"epochs": []}]}',
        '{"warmup": Infinity}',
        '{"warmup": 1%s}' % ("0" * 400),
        '{"seed": 1%s}' % ("0" * 5000),
        "[" * 100_000,
        b"{\xff}",
        b"",
    ],
)
def test_a_damaged_file_is_named(text):
    with pytest.raises(InputError, match=r"a/config\.json") as error:
        configs.from_json(text, "a/config.json")
    assert "\n" not in str(error.value)
