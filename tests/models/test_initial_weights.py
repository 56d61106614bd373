import numpy as np
import pytest

from keypoints import config as configs
from keypoints import markup, pretrained
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.initial_weights import NEAR, run_folder, take_weights
from keypoints.models.network import build_model

FACE = IBUG68.mean * [150, 130] + [100, 118]  # asymmetric on purpose
CONFIG = Config(backbone="tiny", resolution=56, seed=1)
OWN = markup.Markup("own", tuple("abcde"))  # neither names nor a mean face that are known


@pytest.fixture
def run(tmp_path):
    """A run whose every array is random, so that none is like that of a new network."""
    runs.start_run(tmp_path, CONFIG, {})
    model, rng = build_model(CONFIG, FACE), np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(variable.numpy() + rng.uniform(0.01, 0.02, variable.shape))
    runs.write_weights(tmp_path / runs.BEST, model)
    return tmp_path


def test_the_same_points_take_all_weights(run):
    config = configs.replace(CONFIG, {"weights": str(run), "seed": 2})
    model = build_model(config, FACE + 3)
    take_weights(model, config, IBUG68, FACE + 3)
    source, _ = runs.load_model(run)
    pairs = list(zip(source.get_weights(), model.get_weights()))
    assert len(pairs) > 20 and all((a == b).all() for a, b in pairs)


def test_new_points_take_the_heat_maps_of_the_nearest_or_start_at_the_mean_face(run):
    config = configs.replace(CONFIG, {"weights": str(run), "seed": 2})
    source, _ = runs.load_model(run)
    centre = 224 * source.get_layer("head_points").centre.numpy()
    # Four near the points 8, 30, 30 and 45; one just as far from the chin as is too far.
    mean = centre[[8, 30, 30, 45, 8]] + [[0, 3], [1, -1], [0, 0], [2, 2], [0, NEAR + 1]]
    model = build_model(config, mean)
    take_weights(model, config, OWN, mean)
    ours, theirs = (network.get_layer("head_maps").get_weights() for network in (model, source))
    for mine, other in zip(ours, theirs):
        np.testing.assert_array_equal(mine[..., :4], other[..., [8, 30, 30, 45]])
        assert not mine[..., 4].any()
    head, other = (network.get_layer("head_points") for network in (model, source))
    np.testing.assert_allclose(224 * head.centre.numpy(), mean, rtol=1e-5)
    np.testing.assert_array_equal(
        head.log_sigma.numpy()[:4], other.log_sigma.numpy()[[8, 30, 30, 45]]
    )
    assert head.exponent.numpy()[4] == 1
    for layer in (layer for layer in source.layers if layer.variables):
        if layer.name not in ("head_maps", "head_points"):
            for mine, taken in zip(model.get_layer(layer.name).get_weights(), layer.get_weights()):
                np.testing.assert_array_equal(mine, taken)


def test_points_are_as_near_as_in_the_crop_of_the_start(run):
    """In a crop twice as wide the old points lie half as far from its middle, (112, 112)."""
    config = configs.replace(CONFIG, {"weights": str(run), "crop_scale": 2 * CONFIG.crop_scale})
    source, _ = runs.load_model(run)
    centre = 224 * source.get_layer("head_points").centre.numpy()
    mean = 112 + (centre[[8, 45, 36, 30, 0]] - 112) / 2
    model = build_model(config, mean)
    take_weights(model, config, OWN, mean)
    ours, theirs = (network.get_layer("head_maps").get_weights() for network in (model, source))
    for mine, other in zip(ours, theirs):
        np.testing.assert_array_equal(mine, other[..., [8, 45, 36, 30, 0]])
    centre = 224 * model.get_layer("head_points").centre.numpy()
    np.testing.assert_allclose(centre, mean, rtol=1e-5)


def test_other_networks_and_names_are_refused_in_words(run, tmp_path):
    config = configs.replace(CONFIG, {"weights": str(run), "head": "pooled"})
    with pytest.raises(InputError, match=r"its head is heatmap, but head=pooled is given"):
        take_weights(build_model(config, FACE), config, IBUG68, FACE)
    lite = configs.replace(CONFIG, {"weights": "pretrained-smal", "backbone": "lite"})
    with pytest.raises(InputError, match=r"no such file or run folder; .* pretrained-small"):
        build_model(lite, FACE)


def test_bundled_models_are_starts_by_name():
    folder = pretrained.FOLDER / "small" / "weights"
    assert run_folder("pretrained-small") == folder
    assert run_folder(str(folder)) == folder
    assert run_folder("none") is None and run_folder("imagenet") is None


def test_a_point_of_a_known_name_takes_its_own_heat_map(run):
    """Not that of the nearest: the map of `five` names a nose tip and two corners of the mouth."""
    config = configs.replace(CONFIG, {"weights": str(run)})
    source, _ = runs.load_model(run)
    centre = 224 * source.get_layer("head_points").centre.numpy()
    mean = centre[[36, 45, 8, 17, 26]]
    model = build_model(config, mean)
    take_weights(model, config, markup.bundled("five"), mean)
    ours, theirs = (network.get_layer("head_maps").get_weights() for network in (model, source))
    for mine, other in zip(ours, theirs):
        np.testing.assert_array_equal(mine, other[..., [36, 45, 30, 48, 54]])
