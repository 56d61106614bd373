// How far eyes and mouth are open, as in keypoints/expression.py.

import { MODEL } from "./constants";

export function eyeOpening(points: ArrayLike<number>): number {
  return MODEL.eye_openings.reduce((sum, eye) => sum + opening(points, eye), 0) / MODEL.eye_openings.length;
}

export function mouthOpening(points: ArrayLike<number>): number {
  return opening(points, MODEL.mouth_opening);
}

function opening(points: ArrayLike<number>, [corners, ...pairs]: number[][]): number {
  const distance = ([a, b]: number[]) =>
    Math.hypot(points[2 * a] - points[2 * b], points[2 * a + 1] - points[2 * b + 1]);
  return pairs.reduce((sum, pair) => sum + distance(pair), 0) / pairs.length / distance(corners);
}
