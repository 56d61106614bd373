import numpy as np
import pytest

from keypoints import geometry
from keypoints.config import Config
from keypoints.data import records as held
from keypoints.data.pipeline import training_pipeline
from keypoints.markup import IBUG68
from keypoints.synthetic import shape
from keypoints.synthetic.canvas import Canvas, smooth
from keypoints.synthetic.drawing import draw_face, render


def plain_head(**pose):
    angles = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, **pose}
    return shape.pose_head(shape.MEAN_SHAPE, **angles, size=100, centre=np.array([120.0, 110]))


def test_the_same_seed_draws_the_same_bits():
    for seed in (0, 7):
        (image, points), (again, points_again) = draw_face(seed), draw_face(seed)
        assert (image == again).all() and (points == points_again).all()
        assert image.dtype == np.uint8 and points.dtype == np.float32
    assert draw_face(0)[0].shape != draw_face(7)[0].shape


def test_faces_fill_their_pictures_as_real_ones_do():
    shares, inside = [], []
    for seed in range(40):
        image, points = draw_face(seed)
        height, width = image.shape[:2]
        shares.append(geometry.landmark_box(points)[2:].max() / min(height, width))
        inside.append(((points > 0) & (points < [width - 1, height - 1])).mean())
    assert 0.4 < np.median(shares) < 0.65 and np.mean(inside) > 0.97


def test_a_frontal_face_is_the_mean_face():
    points = plain_head().points
    box = geometry.landmark_box(points)
    unit = (points - box[:2] - box[2:] / 2) / box[2:].max()
    assert np.abs(unit - IBUG68.mean).mean() < 0.03
    assert points[36, 0] < points[45, 0]  # its right eye is on the viewer's left


def test_poses_turn_the_way_they_say():
    front = plain_head().points
    nose = 30
    assert plain_head(yaw=0.4).points[nose, 0] > front[nose, 0] + 5
    right, left = plain_head(roll=0.3).points[[36, 45]]
    assert left[1] > right[1]  # clockwise: the viewer's right sinks
    mirrored = plain_head(yaw=-0.4).points * [-1, 1] + [240, 0]
    np.testing.assert_allclose(mirrored[IBUG68.mirror], plain_head(yaw=0.4).points, atol=0.3)


def test_what_is_drawn_lies_under_its_points():
    """Over many faces: eyes hold white and black, lips are redder than cheeks, skin ends at jaw."""
    redder, spread, edge = [], [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        head = plain_head(yaw=rng.uniform(-0.3, 0.3), roll=rng.uniform(-0.2, 0.2))
        image = render(head, 240, 220, rng).astype(float)

        def at(point, image=image):
            x, y = np.rint(point).astype(int)
            return image[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))

        p = head.points
        cheek = at((p[41] + p[31] + p[3]) / 3)
        lip = at((p[57] + p[66]) / 2)
        redder.append(lip[0] / lip.sum() - cheek[0] / cheek.sum())
        eye = p[36:42].mean(0)
        x, y = np.rint(eye).astype(int)
        spread.append(np.ptp(image[y - 2 : y + 3, x - 7 : x + 8].mean(-1)))
        chin_in, chin_out = at(p[8] - [0, 6]), at(p[8] + [0, 6])
        edge.append(np.abs(chin_in - chin_out).mean())
    assert np.median(redder) > 0.02 and np.median(spread) > 60 and np.median(edge) > 12


def test_smooth_curves_run_through_their_points():
    corners = np.array([[0.0, 0], [10, 0], [12, 7], [0, 9]])
    closed = smooth(corners, steps=5)
    np.testing.assert_allclose(closed[::5], corners)
    line = smooth(corners, closed=False, steps=5)
    np.testing.assert_allclose(line[[0, 5, 10, -1]], corners)


def test_a_polygon_covers_the_pixels_it_says():
    canvas = Canvas(40, 30, np.zeros((30, 40, 3), np.uint8))
    canvas.polygon(np.array([[9.5, 4.5], [19.5, 4.5], [19.5, 24.5], [9.5, 24.5]]), [200] * 3)
    covered = canvas.pixels[::2, ::2, 0] > 100
    assert covered[5:24, 10:19].all() and covered.sum() == pytest.approx(200, abs=35)


def test_builder_prepares_and_reads_back(tmp_path, monkeypatch):
    from keypoints.data.datasets.synthetic_faces import synthetic_faces_dataset_builder as module
    from keypoints.data.sources import load_records

    few = module.FacesConfig(name="small", train=3, validation=2, test=1)
    monkeypatch.setattr(module.Builder, "BUILDER_CONFIGS", [few])
    monkeypatch.setattr(module.Builder, "builder_configs", {"small": few})
    records = load_records("synthetic_faces", "train", data_dir=tmp_path)
    assert records.files == ("train/000000", "train/000001", "train/000002")
    image, points = draw_face(1)
    np.testing.assert_array_equal(records.image(1), image)
    np.testing.assert_array_equal(records.points[1], points)
    assert len(load_records("synthetic_faces", "test", data_dir=tmp_path)) == 1

    # A set that is not held in memory gives the very batches.
    monkeypatch.setattr(held, "MEMORY_LIMIT", 0)
    streamed = load_records("synthetic_faces", "train", data_dir=tmp_path)
    assert sum(picture.bytes for picture in streamed.pictures) == 0
    assert streamed.describe() == records.describe()
    config = Config(batch_size=2)
    ours, given = (
        next(training_pipeline(faces, config, epoch=1).as_numpy_iterator())
        for faces in (records, streamed)
    )
    np.testing.assert_array_equal(ours[0], given[0])
    np.testing.assert_array_equal(ours[1], given[1])
