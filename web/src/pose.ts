// The rotation between an average head and a face in a picture, as in keypoints/pose.py.

import { MODEL, type Model, POSE } from "./constants";
import { type Matrix3, cross, multiply, solve, turns } from "./rotation";

export interface Pose {
  /** Degrees: positive yaw to the viewer's right, pitch up, roll clockwise. */
  yaw: number;
  pitch: number;
  roll: number;
}

let model: Model | null = null; // of `shape` and `squares`
let shape: number[][] = []; // of the rigid points, around their centre
let squares: Matrix3 = [];

function takeShape(): void {
  if (model === MODEL) return;
  model = MODEL;
  const centre = [0, 1, 2].map((k) => MODEL.rigid_shape.reduce((sum, row) => sum + row[k], 0) / MODEL.rigid.length);
  shape = MODEL.rigid_shape.map((row) => row.map((value, k) => value - centre[k]));
  squares = [0, 1, 2].flatMap((j) => [0, 1, 2].map((k) => shape.reduce((sum, row) => sum + row[j] * row[k], 0)));
}

/** Rotation from the head to the camera and pixels per head unit; null where points are no face, or have no pose. */
export function fitRotation(points: ArrayLike<number>): { rotation: Matrix3; size: number } | null {
  const { rigid } = MODEL;
  if (!rigid.length) return null;
  takeShape();
  for (let i = 0; i < points.length; i++) if (!(Math.abs(points[i]) <= POSE.farthest)) return null;
  const mean = [0, 1].map((axis) => rigid.reduce((sum, i) => sum + points[2 * i + axis], 0) / rigid.length);
  const moments = [0, 1].map((axis) =>
    [0, 1, 2].map((k) =>
      rigid.reduce((sum, i, row) => sum + (points[2 * i + axis] - mean[axis]) * shape[row][k], 0),
    ),
  );
  const inverse = [0, 1, 2].map((k) => solve(rows(squares), [k === 0 ? 1 : 0, k === 1 ? 1 : 0, k === 2 ? 1 : 0])!);
  const affine = moments.map((moment) => inverse.map((column) => dot(moment, column)));
  // The nearest scaled rotation: affine = U S V' gives U V' = (affine affine')^(-1/2) affine.
  const a = dot(affine[0], affine[0]), b = dot(affine[0], affine[1]), d = dot(affine[1], affine[1]);
  const root = Math.sqrt(Math.max((a + d) ** 2 / 4 - (a * d - b * b), 0));
  const large = Math.sqrt(Math.max((a + d) / 2 + root, 0)), small = Math.sqrt(Math.max((a + d) / 2 - root, 0));
  if (!((large + small) / 2 >= POSE.smallest && small >= POSE.flat * large)) return null;
  // Square root of [a b; b d]: (itself + s 1) / t, with s and t the product and sum of its roots.
  const s = large * small, t = large + small;
  const m = [(a + s) / t, b / t, (d + s) / t], det = m[0] * m[2] - m[1] * m[1];
  const first = affine[0].map((value, k) => (m[2] * value - m[1] * affine[1][k]) / det);
  const second = affine[1].map((value, k) => (m[0] * value - m[1] * affine[0][k]) / det);
  return refine(moments, [...first, ...second, ...cross(first, second)], t / 2);
}

export function angles(rotation: Matrix3): Pose {
  const degrees = 180 / Math.PI;
  return {
    yaw: Math.asin(Math.min(Math.max(rotation[2], -1), 1)) * degrees,
    pitch: Math.atan2(-rotation[5], rotation[8]) * degrees,
    roll: Math.atan2(-rotation[1], rotation[0]) * degrees,
  };
}

/** Gauss-Newton over the rotation and the logarithm of the size. */
function refine(moments: number[][], rotation: Matrix3, size: number): { rotation: Matrix3; size: number } | null {
  for (let round = 0; round < POSE.iterations; round++) {
    const [x, y, z] = [rotation.slice(0, 3), rotation.slice(3, 6), rotation.slice(6, 9)];
    const scaled = (values: number[], factor: number) => values.map((value) => value * factor * size);
    // Derivatives of the upper two rows of size * rotation: by the small turns, and by the size.
    const slopes = [
      [...scaled(x, 0), ...scaled(z, -1)],
      [...scaled(z, 1), ...scaled(x, 0)],
      [...scaled(y, -1), ...scaled(x, 1)],
      [...scaled(x, 1), ...scaled(y, 1)],
    ];
    const squared = slopes.map((slope) => [...times(slope.slice(0, 3)), ...times(slope.slice(3, 6))]);
    const system = squared.map((row) => slopes.map((slope) => dot(row, slope)));
    const trace = system.reduce((sum, row, i) => sum + row[i], 0);
    system.forEach((row, i) => (row[i] += 1e-9 * trace));
    const fitted = [...times(scaled(x, 1)), ...times(scaled(y, 1))];
    const apart = [...moments[0], ...moments[1]].map((value, i) => value - fitted[i]);
    const step = solve(system, slopes.map((slope) => dot(slope, apart)));
    if (step === null) return null;
    rotation = multiply(turns([step[0], step[1], step[2]]), rotation);
    size *= Math.exp(Math.min(Math.max(step[3], -1), 1));
    if (Math.max(...step.map(Math.abs)) < POSE.precision) break;
  }
  return { rotation, size };
}

function rows(m: Matrix3): number[][] {
  return [m.slice(0, 3), m.slice(3, 6), m.slice(6, 9)];
}

function times(row: number[]): number[] {
  return [0, 1, 2].map((k) => row[0] * squares[k] + row[1] * squares[3 + k] + row[2] * squares[6 + k]);
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
