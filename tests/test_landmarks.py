import numpy as np

from keypoints import landmarks


def test_parts_cover_every_point_once():
    for parts in (landmarks.PARTS, landmarks.REPORT_PARTS):
        covered = np.concatenate([np.arange(68)[parts[name]] for name in parts if name != "inner"])
        assert covered.tolist() == list(range(68))


def test_mirror_swaps_sides_and_undoes_itself():
    order = landmarks.MIRROR
    assert order[order].tolist() == list(range(68))
    assert order[36] == 45 and order[40] == 47 and order[48] == 54 and order[0] == 16
    middle = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert [i for i in range(68) if order[i] == i] == middle


def test_mean_face_is_upright_symmetric_and_fills_its_unit():
    face = landmarks.MEAN_FACE
    mirrored = (face * [-1, 1])[landmarks.MIRROR]
    np.testing.assert_allclose(mirrored, face, atol=2e-3)
    assert face[36, 0] < 0 < face[45, 0]  # its right eye is on the viewer's left
    assert face[27, 1] < face[33, 1] < face[51, 1] < face[8, 1]
    assert 0.9 < np.ptp(face, axis=0).max() <= 1.0


def test_outlines_draw_every_point_and_close_eyes_and_lips():
    drawn = [i for points, _ in landmarks.OUTLINES.values() for i in points]
    assert sorted(drawn) == list(range(68))
    closed = {name for name, (_, close) in landmarks.OUTLINES.items() if close}
    assert closed == {"right_eye", "left_eye", "outer_lips", "inner_lips"}


def test_missing_points_are_guessed_in_arrays_of_any_order():
    faces = np.tile(landmarks.MEAN_FACE.astype(np.float64) * 80 + [70, 90], (2, 3, 1, 1))
    faces += np.arange(6).reshape(2, 3, 1, 1)
    gaps = faces.copy()
    gaps[:, 1, 20:25] = np.nan
    turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(gaps, 0, 2)), 2, 0)
    for given in (gaps, np.asfortranarray(gaps), turned, gaps[:, :, :, ::-1][:, :, :, ::-1]):
        np.testing.assert_allclose(landmarks.complete(given), faces, atol=1e-9)
    assert np.isnan(gaps).any()
