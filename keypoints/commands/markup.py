"""Describe the points of a folder of one's own: `python -m tools.markup FOLDER`."""

from keypoints.errors import InputError


def markup(folder: str, *, sheet: str | None = None) -> None:
    """Write a first markup.toml for the points of FOLDER, and draw a sheet to check it.

    FOLDER holds pictures and annotations in any format that `folder:` reads. Mirror pairs come from
    the names of points (left and right), else from the symmetry of the mean face; mean face and
    face box are measured. A markup.toml that is there is kept; only the sheet is drawn. It shows
    four faces and their flipped twins with numbered points and lines between pairs. Look at it:
    wrong pairs make every training worse, and nothing else shows them.

    Args:
        folder: folder with pictures and annotations
        sheet: picture to write; default: markup-FOLDER.png
    """
    from pathlib import Path

    from keypoints.evaluation import own_markup
    from keypoints.evaluation.markup_sheet import draw_sheet
    from keypoints.markup import FILE
    from keypoints.system.atomic import replacing, write_text

    place = Path(folder).expanduser()
    if not place.is_dir():
        raise InputError(f"{folder}: no such folder")
    target = Path(sheet) if sheet is not None else Path(f"markup-{place.resolve().name}.png")
    if target.suffix.lower() not in (".png", ".jpg"):
        raise InputError(f"--sheet={target}: a .png or .jpg file is expected")
    records = own_markup.read_faces(place)
    known, how = (place / FILE).is_file(), "as before"
    found = own_markup.measured(records)
    if not known and found.pairs is None:
        found, how = own_markup.paired(found)
    with replacing(target) as temporary:
        draw_sheet(records, found, temporary)
    if not known:
        write_text(place / FILE, found.to_toml())
    pairs = "no mirror pairs" if found.pairs is None else f"{len(found.pairs)} mirror pairs, {how}"
    print(f"{place / FILE}: {'kept' if known else 'written'}: {found.count} points, {pairs}")
    print(f"{target}: check that each number is at the same place of the face in both rows")
