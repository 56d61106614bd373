"""Make the data of the next `wild` and `wild_small`: `python -m experiments.wild_data`."""

from collections import Counter
from pathlib import Path

from experiments.wild_data import folders
from keypoints.commands.cli import run_command

# Offset of the annotations to the right, in inter-ocular distances, by mirror symmetry
# (`experiments.label_correction`).
X_OFFSETS = {"lfpw": 0.0105, "helen": 0.0079, "afw": 0.0126, "aflw": -0.0055}
JAW_UP_TO = 30.0  # degrees of yaw from which on the jaw of `aflw_3d` counts as not annotated


def wild_data(
    *,
    lfpw: str,
    helen_afw: str,
    aflw: str,
    aflw_2d: str,
    aflw_yaw: str,
    output: str = "data",
) -> None:
    """Write annotated folders lfpw, helen, afw and aflw from archives of pictures and points.

    Archives hold pictures and points.csv (file, x0, y0, ..), all in the 68 points of iBUG. Two more
    folders, for reports alone, have the validation pictures of aflw: aflw_3d with the points of the
    3D model, and aflw_by_hand with those by hand.

    Args:
        lfpw: archive of the training pictures of LFPW (300-W)
        helen_afw: archive of those of HELEN, whose names begin with helen_, and of AFW
        aflw: archive of AFLW2000-3D with its published points
        aflw_2d: table of points by hand for pictures of that archive
        aflw_yaw: table of their yaw (picture, degrees) with a header
        output: folder for these folders
    """
    out = Path(output)
    both = folders.archive_points(Path(helen_afw))
    in_2d = folders.read_points(Path(aflw_2d).read_bytes(), aflw_2d)
    yaws = folders.read_yaws(Path(aflw_yaw))
    in_3d = folders.archive_points(Path(aflw))
    seen = {n: folders.visible(in_2d.get(n), face, yaws.get(n, 90.0)) for n, face in in_3d.items()}
    sets = {
        "lfpw": (lfpw, folders.archive_points(Path(lfpw)), None),
        "helen": (helen_afw, {n: p for n, p in both.items() if n.startswith("helen_")}, None),
        "afw": (helen_afw, {n: p for n, p in both.items() if not n.startswith("helen_")}, None),
        "aflw": (aflw, seen, yaws),
    }
    for name, (archive, points, turned) in sets.items():
        chosen, labels = folders.splits(points), {"x_offset": X_OFFSETS[name]}
        folders.write_folder(out / name, Path(archive), points, chosen, labels=labels, yaws=turned)
        counts = Counter(chosen.values())
        print(f"{out / name}: {counts['train']} to train on, {counts['validation']} to validate on")
    # The same pictures as in aflw, so that nobody has trained on them.
    validated = {n: split for n, split in folders.splits(in_3d).items() if split == "validation"}
    by_hand = {n: split for n, split in validated.items() if n in in_2d}
    for name, points, chosen, labels in (
        ("aflw_3d", in_3d, validated, {"jaw_up_to_yaw": JAW_UP_TO}),
        ("aflw_by_hand", in_2d, by_hand, {"x_offset": X_OFFSETS["aflw"]}),
    ):
        folders.write_folder(out / name, Path(aflw), points, chosen, labels=labels, yaws=yaws)
        print(f"{out / name}: {len(chosen)} to validate on")


if __name__ == "__main__":
    run_command(wild_data)
