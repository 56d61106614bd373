// What the network answers for a face, and how likely it is one, as in keypoints/estimate.py.

import { MODEL, TRACKING } from "./constants";
import { type Box, type Points, centreOf, faceBox } from "./geometry";

export interface Estimate {
  points: Points;
  /** Expected absolute error of each point's x and y. */
  uncertainty: Float32Array;
}

/** An estimate and how likely it is one of a face. */
export type Scored = Estimate & { score: number };

/** Mean uncertainty over the root of the area of the face box: low on faces. */
export function relativeUncertainty({ points, uncertainty }: Estimate): number {
  const [, , width, height] = faceBox(points);
  const mean = uncertainty.reduce((sum, value) => sum + value, 0) / uncertainty.length;
  return mean / Math.max(Math.sqrt(width * height), 1e-3);
}

/** From 0 to 1: how likely an estimate is one of a face. `box`: that of its crop. */
export function scoreFace(estimate: Estimate, box: Box, width: number, height: number): number {
  const found = faceBox(estimate.points);
  const side = Math.max(box[2], box[3]);
  const size = Math.log(Math.max(found[2], found[3]) / Math.max(side, 1));
  const [x, y] = centreOf(found), [boxX, boxY] = centreOf(box);
  const near = Math.hypot(x - boxX, y - boxY) < TRACKING.near * side && Math.abs(size) < TRACKING.near;
  const inside = found[0] < width && found[1] < height && found[0] + found[2] > 0 && found[1] + found[3] > 0;
  if (!near || !inside) return 0;
  const score = 1 - relativeUncertainty(estimate) / (2 * MODEL.half_score);
  return Math.min(Math.max(score, 0), 1);
}
