import cv2
import numpy as np
import pytest

from keypoints import metrics
from keypoints.evaluation import plots, protocol, reports
from keypoints.markup import IBUG68
from tests.faces import dotted_faces


def rows(count):
    return [
        {"epoch": i, "loss": 9.0 / i, "training_nme": 20.0 - i, "validation_nme": 21.0 - i}
        for i in range(1, count + 1)
    ]


def test_curves_and_distributions_are_pictures(tmp_path):
    plots.training_curves(rows(1), tmp_path / "one.png")
    plots.training_curves(rows(5), tmp_path / "five.png")
    curves = {"a": np.array([0.02, 0.05, np.nan]), "b": np.array([0.3])}
    plots.error_distribution(curves, tmp_path / "ced.png", unit="the box")
    for name in ("one.png", "five.png", "ced.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 5


def test_the_curves_of_a_training_say_what_their_errors_are_divided_by(tmp_path, monkeypatch):
    figures, make = [], plots._figure

    def figure(*arguments, **options):
        figures.append(make(*arguments, **options))
        return figures[-1]

    monkeypatch.setattr(plots, "_figure", figure)
    plots.training_curves(rows(5), tmp_path / "curves.png")
    ((_, (loss, nme)),) = figures
    assert (loss.get_ylabel(), nme.get_ylabel()) == (
        "training loss, crop pixels",
        f"NME, % of {reports.NORMALISERS['box'][1]}",
    )
    assert [list(line.get_ydata()) for line in nme.lines[:2]] == [
        [row[name] for row in rows(5)] for name in ("training_nme", "validation_nme")
    ]


@pytest.mark.parametrize(
    "normaliser, unit", [(name, unit) for name, (_, unit) in reports.NORMALISERS.items()]
)
def test_the_axis_of_a_report_says_what_its_errors_are_divided_by(
    normaliser, unit, tmp_path, monkeypatch
):
    """And the curve is that of the same normaliser: here all points are 3 pixels off."""
    records = dotted_faces(3)
    predicted = records.points + np.float32([3, 0])
    report = protocol.evaluate(records, predicted, normaliser=normaliser)
    figures, make = [], plots._figure

    def figure(*arguments, **options):
        figures.append(make(*arguments, **options))
        return figures[-1]

    monkeypatch.setattr(plots, "_figure", figure)
    reports.write_report(tmp_path, report, records, predicted)
    ((_, axis),) = figures
    assert axis.get_xlabel() == f"NME, % of {unit}"
    sizes = metrics.sizes(records.points, records.boxes)[normaliser]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), np.sort(300 / sizes), rtol=1e-4)
    assert axis.lines[0].get_ydata() == pytest.approx([100 / 3, 200 / 3, 100])


def test_points_are_drawn_where_they_are_in_the_colour_given():
    image = np.zeros((90, 160, 3), np.uint8)
    points = IBUG68.mean * 60 + [100, 40]
    drawn = plots.draw_points(image, points, (255, 10, 20))
    assert image.max() == 0
    x, y = np.rint(points[30]).astype(int)
    assert drawn[y, x].tolist() == [255, 10, 20]
    assert (drawn[:, :60] == 0).all()


def test_sheets_hold_every_face_and_skip_missing_predictions(tmp_path):
    records = dotted_faces(5)
    crops = [np.full((224, 224, 3), 40 * i, np.uint8) for i in range(5)]
    plots.contact_sheet(crops, list(records.points), tmp_path / "a.png", columns=3)
    sheet = cv2.imread(str(tmp_path / "a.png"))
    assert sheet.shape == (448, 672, 3) and sheet[300, 660].max() == 0
    assert sheet[250, 440].tolist() == [160, 160, 160]
    predicted = records.points.copy()
    predicted[1] = np.nan
    plots.gallery(records, np.arange(5), predicted, ["x"] * 5, tmp_path / "b.png")
    assert cv2.imread(str(tmp_path / "b.png")).shape == (224, 1120, 3)
