"""The configuration of a training run: one flat frozen dataclass, checked, stored as JSON."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keypoints import checks
from keypoints.errors import InputError, near_miss

# One value for the whole run, whatever a stage says: what is learned from, which crop the network
# sees, which weights it has.
FIXED = (
    "data", "train_split", "validation_split", "seed", "crop", "crop_scale", "pipeline", "backbone",
    "head", "weights", "rehearsal", "stages",
)  # fmt: skip


def _option(default: Any, meaning: str, **more: Any) -> Any:
    """A field with its help text and its checks: `choices`, `low`, `high`.

    The first field of a group has the group's `heading`.
    """
    return field(default=default, metadata={"meaning": meaning, **more})


class Stage(Mapping[str, Any]):
    """The fields that a stage changes; immutable, as a config is."""

    def __init__(self, fields: Mapping[str, Any]):
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        return hash(frozenset(self._fields.items()))

    def __repr__(self) -> str:
        return repr(self._fields)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Data, crops, augmentation, network and optimisation of a run; an experiment has one.

    Raises InputError for an unknown value, a value out of range or of another type.
    """

    data: str = _option(
        "youtube_faces_keypoints",
        "data set: a name, folder:PATH, shards:GLOB or tfds:NAME; several: A+B*0.5, half of B in "
        "each epoch",
        heading="data",
    )
    labels: str = _option(
        "corrected",
        "annotated points, published or corrected for known offsets",
        choices=("corrected", "published"),
    )
    train_split: str = _option("train", "training split")
    validation_split: str = _option("validation", "split on which the best epoch is chosen")
    seed: int = _option(0, "random seed", low=0, high=2**32 - 1)

    crop: str = _option(
        "face",
        "face: square crop around the face box; frame: central crop of the image",
        choices=("face", "frame"),
        heading="crops",
    )
    crop_scale: float = _option(
        1.4, "side of the face crop, in longer sides of the box", low=1.0, high=4.0
    )

    pipeline: str = _option(
        "host",
        "where crops are made: host: on the CPU, by tf.data; device: by JAX on the accelerator, "
        "from faces held in its memory",
        choices=("host", "device"),
    )
    rotation: float = _option(
        30.0, "largest random rotation, degrees", low=0.0, high=180.0, heading="augmentation"
    )
    scale: float = _option(0.2, "largest random change of scale, fraction", low=0.0, high=0.9)
    translation: float = _option(
        0.1, "largest random translation, fraction of the crop side", low=0.0, high=1.0
    )
    flip: float = _option(0.5, "horizontal-flip probability", low=0.0, high=1.0)
    brightness: float = _option(
        0.25, "largest change of brightness, fraction of 255", low=0.0, high=1.0
    )
    contrast: float = _option(0.3, "largest change of contrast, fraction", low=0.0, high=1.0)
    saturation: float = _option(0.3, "largest change of saturation, fraction", low=0.0, high=1.0)
    hue: float = _option(
        0.04, "largest change of hue, fraction of the colour circle", low=0.0, high=0.5
    )
    grayscale: float = _option(0.1, "probability of grayscale", low=0.0, high=1.0)
    blur: float = _option(0.15, "probability of blur", low=0.0, high=1.0)
    noise: float = _option(
        6.0, "largest standard deviation of sensor noise, gray levels", low=0.0, high=100.0
    )
    jpeg: float = _option(0.0, "probability of JPEG compression", low=0.0, high=1.0)
    occlusion: float = _option(0.3, "probability of an occluding block", low=0.0, high=1.0)
    mask: float = _option(0.0, "probability of a drawn face mask", low=0.0, high=1.0)

    backbone: str = _option(
        "resnet50",
        "backbone network",
        choices=("resnet50", "lite", "tiny"),
        heading="network",
    )
    head: str = _option(
        "heatmap",
        "heatmap: decoder and soft-argmax; pooled: average pooling and a dense layer",
        choices=("heatmap", "pooled"),
    )
    resolution: int = _option(224, "input size of the backbone, pixels", choices=(56, 112, 224))
    weights: str = _option(
        "none",
        "initial weights: none, imagenet, a bundled model, a .h5 weights file or a run folder",
    )
    trainable: str = _option("all", "layers that are trained", choices=("all", "conv5", "head"))

    rehearsal: float = _option(
        0.0,
        "share of drawn faces in an epoch, with the answers of the initial network as points",
        low=0.0,
        high=0.9,
        heading="optimisation",
    )
    loss: str = _option(
        "l1",
        "point loss, in crop pixels",
        choices=("l1", "mse", "smooth_l1", "wing"),
    )
    teacher: str = _option("none", "distillation teacher (half of the point loss): a model or none")
    optimizer: str = _option("adamw", "optimizer", choices=("adam", "adamw"))
    learning_rate: float = _option(1e-3, "peak learning rate", low=0.0, high=10.0)
    schedule: str = _option(
        "cosine", "learning-rate schedule", choices=("constant", "cosine", "exponential")
    )
    decay: float = _option(
        0.99, "decay factor per epoch of the exponential schedule", low=0.0, high=1.0
    )
    warmup: float = _option(1.0, "epochs of linear warm-up", low=0.0)
    weight_decay: float = _option(1e-4, "decoupled weight decay of adamw", low=0.0, high=1.0)
    clip_norm: float = _option(0.0, "gradient clipping by global norm; 0 is off", low=0.0)
    ema: float = _option(
        0.0, "momentum of the moving average of the weights; 0 is off", low=0.0, high=0.99999
    )
    precision: str = _option(
        "auto",
        "precision of the layers; auto: mixed_bfloat16 where the device has units for it and the "
        "backend uses them, else float32",
        choices=("auto", "float32", "mixed_bfloat16"),
    )
    kernels: str = _option(
        "auto",
        "keras: the built-in layers; cpu: the same, with faster CPU kernels; auto: cpu without GPU",
        choices=("auto", "keras", "cpu"),
    )
    epoch_steps: int = _option(
        0, "least steps of an epoch: fewer pictures are shown several times in it", low=0
    )
    batch_size: int = _option(0, "images per step, over all devices; 0: 64 on GPUs, else 32", low=0)
    epochs: int = _option(60, "number of epochs", low=1)
    stages: tuple[Mapping[str, Any], ...] = _option(
        (), "training stages in order, each a dict of the fields that it changes"
    )

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            object.__setattr__(self, entry.name, _checked(entry, getattr(self, entry.name)))
        for number, stage in enumerate(self.stages, 1):
            if not isinstance(stage, Mapping):
                raise InputError(f"stages: {stage!r}: an object of fields is expected")
            for name in stage:
                if name in FIXED:
                    raise InputError(
                        f"stages: stage {number} sets {name}, which is the same for the whole run; "
                        f"a stage may set {', '.join(n for n in field_names() if n not in FIXED)}"
                    )
            replace(self, {**stage, "stages": ()})
        object.__setattr__(self, "stages", tuple(map(Stage, self.stages)))

    def stage_configs(self) -> list["Config"]:
        """The stages of the run as one config each; the config itself if it has no stages."""
        return [replace(self, {**stage, "stages": ()}) for stage in self.stages or ({},)]


def field_names() -> list[str]:
    """Names of all fields, in order of definition."""
    return [entry.name for entry in dataclasses.fields(Config)]


def replace(config: Config, changes: dict[str, Any]) -> Config:
    """`config` with `changes`; raises InputError for an unknown field or an invalid value."""
    for name in changes:
        if name not in field_names():
            raise InputError(f"unknown field {name!r}{near_miss(name, field_names())}")
    return dataclasses.replace(config, **changes)


def override(config: Config, changes: dict[str, Any]) -> Config:
    """`replace`, with `changes` in every stage too: what a stage sets itself gives way to them."""
    stages = [{k: v for k, v in stage.items() if k not in changes} for stage in config.stages]
    return replace(config, {"stages": tuple(stages), **changes})


def resolved(config: Config, *, precision: str = "float32", batch_size: int = 32) -> Config:
    """`config` with `precision` and `batch_size` where it leaves them to the device."""
    left = {"precision": ("auto", precision), "batch_size": (0, batch_size)}

    def chosen(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: new for name, (old, new) in left.items() if values.get(name) == old}

    stages = tuple({**stage, **chosen(stage)} for stage in config.stages)
    return replace(config, {**chosen(vars(config)), "stages": stages})


def to_json(config: Config) -> str:
    return json.dumps(vars(config), indent=2, default=dict) + "\n"


def from_json(text: str | bytes, source: str) -> Config:
    """Parse a config from JSON; raises InputError, which names the file `source`."""
    values = checks.json_object(text, source)
    try:
        return replace(Config(), values)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _checked(entry: dataclasses.Field, value: Any) -> Any:
    """`value` as the type of the field; raises InputError with the expected value."""
    limits = {name: entry.metadata[name] for name in ("low", "high") if name in entry.metadata}
    if "choices" in entry.metadata:
        return checks.one_of(value, entry.name, entry.metadata["choices"])
    if type(entry.default) is str:
        return checks.text(value, entry.name)
    if type(entry.default) is int:
        return checks.whole(value, entry.name, **limits)
    if type(entry.default) is float:
        return checks.number(value, entry.name, **limits)
    if not isinstance(value, list | tuple):  # JSON has lists
        raise InputError(f"{entry.name}={value!r}: a list of objects is expected")
    return tuple(value)
