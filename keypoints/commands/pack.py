"""The command pack."""

import shlex
from pathlib import Path
from typing import Any

from keypoints.commands.progress import count_of
from keypoints.errors import InputError


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

    A shard holds of each picture only what augmented crops show, with the default view and
    margin, as WebP with points, box, identity and yaw: a few kilobytes a face, to train on a
    machine with a GPU. The last line printed is the `--data` for `keypoints train` there; with
    --pipeline=device it needs no TensorFlow.

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

    from keypoints.data.shards import shard_paths, write_shard
    from keypoints.data.sources import load_set, parse_sets, refuse_output, set_name
    from keypoints.system.atomic import keep_apart

    if not 1 <= quality <= 100:
        raise InputError(f"--quality={quality}: 1 to 100 is expected")
    if not 16 <= resolution <= 1024:
        raise InputError(f"--resolution={resolution}: 16 to 1024 is expected")
    folder = Path(output)
    if folder.is_file():
        raise InputError(f"--output={output} is a file; a folder is expected")
    refuse_output(data, "--output", folder)
    splits, packed = ("train", "validation"), {}
    for source, share in parse_sets(data):
        name = set_name(source)
        if share != 1:
            raise InputError(f"--data={source}*{share:g}: shares are for training, not for pack")
        if name in packed:
            raise InputError(f"--data={data}: two data sets have the name {name}; rename a folder")
        packed[name] = source
        inputs = [path for split in splits for path in shard_paths(source, split)]
        outputs = [("--output", folder / f"{name}-{split}.tar") for split in splits]
        keep_apart(inputs, outputs)
    options: dict[str, Any] = {"labels": labels, "splits": splits, "archive": archive}
    folder.parent.mkdir(parents=True, exist_ok=True)
    # All shards or none: they are moved to their folder when the last one is written.
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=folder.parent) as new:
        for name, source in packed.items():
            for split in splits:
                records = load_set(source, split, data_dir=data_dir, **options)
                path = Path(new) / f"{name}-{split}.tar"
                write_shard(path, records, resolution=resolution, quality=quality)
                size = path.stat().st_size / 1e6
                print(
                    f"{folder / path.name}: {count_of(len(records), 'face')}, {size:.1f} MB",
                    flush=True,
                )
        folder.mkdir(exist_ok=True)
        for path in Path(new).iterdir():
            path.replace(folder / path.name)
    sets = [f"shards:{folder / name}-{{split}}.tar" for name in packed]
    print(f"done: {shlex.quote('--data=' + '+'.join(sets))}")
