"""The command pack."""

import shlex
from pathlib import Path
from typing import Any

from keypoints.checks import whole
from keypoints.commands.progress import count_of
from keypoints.errors import InputError

SPLITS = ("train", "validation")


def pack(
    data: str = "youtube_faces_keypoints",
    *,
    output: str = "packed",
    resolution: int = 112,
    quality: int = 90,
    labels: str = "corrected",
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Write the faces of data sets as tar shards, one for each set and split.

    A shard holds of each picture only what augmented crops show, with the default crop, as WebP
    with points, box, identity and yaw: a few kilobytes a face, to train on a machine with a GPU.
    The last line printed is the `--data` for `keypoints train` there; with --pipeline=device it
    needs no TensorFlow.

    Args:
        data: data set: a name, folder:PATH, shards:GLOB or tfds:NAME; several: A+B
        output: folder of the shards
        resolution: input size of the network, pixels; the window is twice as large
        quality: quality of the WebP pictures, 1 to 100
        labels: annotated points, published or corrected for known offsets
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    import tempfile

    from keypoints.data.shards import write_shard
    from keypoints.data.sources import load_set, refuse_output

    whole(quality, "--quality", low=1, high=100)
    whole(resolution, "--resolution", low=16, high=1024)
    folder = Path(output)
    if folder.is_file():
        raise InputError(f"--output={output} is a file; a folder is expected")
    refuse_output(data, "--output", folder)
    packed = _sets(data, folder)
    options: dict[str, Any] = {"labels": labels, "splits": SPLITS, "archive": archive}
    folder.parent.mkdir(parents=True, exist_ok=True)
    # All shards or none: they are moved to their folder when the last one is written.
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=folder.parent) as new:
        for name, source in packed.items():
            for split in SPLITS:
                records = load_set(source, split, data_dir=data_dir, **options)
                path = Path(new) / f"{name}-{split}.tar"
                write_shard(path, records, resolution=resolution, quality=quality)
                size = path.stat().st_size / 1e6
                faces = count_of(len(records), "face")
                print(f"{folder / path.name}: {faces}, {size:.1f} MB", flush=True)
        folder.mkdir(exist_ok=True)
        for path in Path(new).iterdir():
            path.replace(folder / path.name)
    sets = [f"shards:{folder / name}-{{split}}.tar" for name in packed]
    print(f"done: {shlex.quote('--data=' + '+'.join(sets))}")


def _sets(data: str, folder: Path) -> dict[str, str]:
    """The data sets in `data` by the names of their shards, none of which is one of its inputs."""
    from keypoints.data.shards import shard_paths
    from keypoints.data.sources import parse_sets, set_name
    from keypoints.system.atomic import keep_apart

    packed: dict[str, str] = {}
    for source, share in parse_sets(data):
        name = set_name(source)
        if share != 1:
            raise InputError(f"--data={source}*{share:g}: shares are for training, not for pack")
        if name in packed:
            raise InputError(f"--data={data}: two data sets have the name {name}; rename a folder")
        packed[name] = source
        inputs = [path for split in SPLITS for path in shard_paths(source, split)]
        outputs = [("--output", folder / f"{name}-{split}.tar") for split in SPLITS]
        keep_apart(inputs, outputs)
    return packed
