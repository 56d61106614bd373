"""The command pack."""

import shlex
from pathlib import Path

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

    A shard holds of each picture only what training with jitter shows, with the default view and
    margin, as WebP with points, box, identity and yaw: a few kilobytes a face, to train on a
    machine with a GPU. With `--data` of tools.train as the last line has it, and
    --pipeline=device, no TensorFlow is needed there.

    Args:
        data: data set: a name, folder:PATH, shards:GLOB or tfds:NAME; several: A+B
        output: folder of the shards
        resolution: input size of the network, pixels; the window is twice as large
        quality: quality of the WebP pictures, 1 to 100
        labels: annotated points, published or corrected for known offsets
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    from keypoints.data.shards import write_shard
    from keypoints.data.sources import load_set, parse_sets

    if not 1 <= quality <= 100:
        raise InputError(f"--quality={quality}: 1 to 100 is expected")
    if not 16 <= resolution <= 1024:
        raise InputError(f"--resolution={resolution}: 16 to 1024 is expected")
    folder = Path(output)
    if folder.is_file():
        raise InputError(f"--output={output} is a file; a folder is expected")
    folder.mkdir(parents=True, exist_ok=True)
    splits, packed = ("train", "validation"), []
    for source, _ in parse_sets(data):
        for split in splits:
            records = load_set(
                source, split, labels=labels, splits=splits, archive=archive, data_dir=data_dir
            )
            name = records.name.rpartition("/")[0]
            path = folder / f"{name}-{split}.tar"
            write_shard(path, records, resolution=resolution, quality=quality)
            print(f"{path}: {len(records)} faces, {path.stat().st_size / 1e6:.1f} MB", flush=True)
        packed.append(f"shards:{folder / name}-{{split}}.tar")
    print(f"done: {shlex.quote('--data=' + '+'.join(packed))}")
