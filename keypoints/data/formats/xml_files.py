"""XML files: dlib's imglab, and CVAT for images 1.1.

imglab: `<image file><box top left width height ignore><label/><part name x y/></box></image>`. Its
names of points are numbers that sort as text, hence `00`; a box with `ignore` is no face.

CVAT: `<image name width height>` holds `<skeleton>`s, whose `<points label>` come in any order; or
`<points points="x,y;x,y">`, a face each; or single ones, of a face by their `group_id`. `outside`
is a point that is not there, `occluded` a covered one. Source: docs.cvat.ai, "XML annotation
format" 1.1.

Boxes are not read: they are those of the points, or come from a detector.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotations, Place, from_named, put, shown
from keypoints.system.atomic import write_text

TRUE = ("1", "true", "True", "yes")


def parse(data: bytes, file: str) -> Annotations | None:
    """The faces of a file of either kind; None for other XML."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also unknown encodings
        return Annotations(file, problems=[f"{file}: not an XML file: {error}"])
    if root.tag == "dataset":
        return _imglab(root, file)
    return _cvat(root, file) if root.tag == "annotations" else None


def _imglab(root: Element, file: str) -> Annotations:
    faces = []
    problems = []
    for image in root.iter("image"):
        picture = image.get("file", "")
        for box in image.iter("box"):
            if box.get("ignore") in TRUE:
                continue
            places: dict[str, Place] = {}
            try:
                for part in box.findall("part"):
                    put(places, part.get("name", ""), Place(part.get("x"), part.get("y")))
                faces.append((picture, places))
            except ValueError as error:
                problems.append(f"{file}: {picture}: {error}")
    return from_named(file, faces, problems)


def _cvat(root: Element, file: str) -> Annotations:
    if root.find("track") is not None:
        problem = f"{file}: a file of videos; export it as `CVAT for images 1.1`"
        return Annotations(file, problems=[problem])
    named: list[tuple[str, dict[str, Place]]] = []
    listed: list[tuple[str, list[str], bool]] = []
    problems: list[str] = []
    kinds: dict[str, set[str]] = {}  # names of points by the label of their skeleton
    for image in root.iter("image"):
        picture = image.get("name", "")
        groups: dict[str, dict[str, Place]] = {}
        try:
            for skeleton in image.findall("skeleton"):
                places: dict[str, Place] = {}
                for points in skeleton.findall("points"):
                    _put_point(places, points)
                if any(place.x is not None for place in places.values()):
                    kinds.setdefault(skeleton.get("label", ""), set()).update(places)
                    named.append((picture, places))
            for points in image.findall("points"):
                cells = points.get("points", "").split(";")
                if len(cells) > 1:
                    listed.append((picture, cells, points.get("occluded") in TRUE))
                else:
                    _put_point(groups.setdefault(points.get("group_id", ""), {}), points)
        except ValueError as error:
            problems.append(f"{file}: {picture}: {error}")
        named += [(picture, places) for places in groups.values()]
    if len({frozenset(names) for names in kinds.values()}) > 1:
        problems.append(f"{file}: skeletons with other points: {', '.join(kinds)}; export one")
    if named and listed:
        problems.append(f"{file}: some faces are skeletons or labelled points, some are lists")
    if named:
        return from_named(file, named, problems)
    found = Annotations(file, problems=problems)
    for picture, cells, covered in listed:
        found.add(picture, [cell.split(",") for cell in cells], [covered] * len(cells))
    return found


def _put_point(places: dict[str, Place], points: Element) -> None:
    x, comma, y = points.get("points", "").partition(",")
    if points.get("outside") in TRUE:
        place = Place(None, None)
    elif comma:
        place = Place(x, y, points.get("occluded") in TRUE)
    else:
        raise ValueError(f"point {shown(points.get('label'))}: x,y is expected, not {shown(x)}")
    put(places, points.get("label", ""), place)


def write_imglab(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `faces.xml`. imglab and dlib have whole pixels; the fractions are kept nevertheless."""
    root = Element("dataset")
    images = SubElement(root, "images")
    width = max(2, len(str(len(names) - 1)))  # names sort as text
    numbers = [str(i).zfill(width) for i in range(len(names))]
    for picture in pictures:
        image = SubElement(images, "image", file=picture.name)
        for face in picture.faces:
            low, high = np.nanmin(face.points, axis=0), np.nanmax(face.points, axis=0)
            (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int)
            sides = {
                "top": top,
                "left": left,
                "width": right - left + 1,
                "height": bottom - top + 1,
            }
            box = SubElement(image, "box", {name: str(side) for name, side in sides.items()})
            for name, (x, y) in zip(numbers, face.points.tolist()):
                if x == x:  # not missing
                    SubElement(box, "part", name=name, x=f"{x:.3f}", y=f"{y:.3f}")
    _write(folder / "faces.xml", root)


def write_cvat(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `annotations.xml`: a skeleton `face` for each face."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    for number, picture in enumerate(pictures):
        sides = {"width": str(picture.width), "height": str(picture.height)}
        image = SubElement(root, "image", {"id": str(number), "name": picture.name, **sides})
        for face in picture.faces:
            common = {"source": "manual", "occluded": "0"}
            skeleton = SubElement(image, "skeleton", {"label": "face", **common, "z_order": "0"})
            for name, (x, y), covered in zip(names, face.points.tolist(), face.covered):
                missing = x != x
                where = {"points": "0.00,0.00" if missing else f"{x:.3f},{y:.3f}"}
                seen = {"outside": str(int(missing)), "occluded": str(int(covered))}
                SubElement(skeleton, "points", {"label": name, "source": "manual", **seen, **where})
    _write(folder / "annotations.xml", root)


def _write(path: Path, root: Element) -> None:
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    write_text(path, f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n")
