// How far the crop of a tilted face is turned, as in keypoints/inference/upright.py.

import { MODEL, UPRIGHT } from "./constants";
import { type Box, centreOf, faceBox, rotation } from "./geometry";

/** The tilt of the line from the eyes to the mouth in degrees, less what the network takes. */
export function cropRoll(eyes: [number, number], mouth: [number, number]): number {
  const tilt = (Math.atan2(eyes[0] - mouth[0], mouth[1] - eyes[1]) * 180) / Math.PI;
  return Math.sign(tilt) * Math.max(Math.abs(tilt) - UPRIGHT.tilt_kept, 0);
}

/** The box of a face turned back by its roll, and that roll. */
export function uprightBox(points: ArrayLike<number>): { box: Box; roll: number } {
  const roll = rollOf(points);
  const [cos, sin] = rotation(roll);
  const back = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    back[i] = cos * points[i] + sin * points[i + 1];
    back[i + 1] = cos * points[i + 1] - sin * points[i];
  }
  const box = faceBox(back);
  const [x, y] = centreOf(box);
  const centre = [cos * x - sin * y, sin * x + cos * y];
  return { box: [centre[0] - box[2] / 2, centre[1] - box[3] / 2, box[2], box[3]], roll };
}

/** By eyes and mouth, or by the mean face laid on the points; 0 where neither is known. */
function rollOf(points: ArrayLike<number>): number {
  const { eyes, mouth, mean } = MODEL;
  if (eyes.length && mouth.length) return cropRoll(middle(points, eyes), middle(points, mouth));
  if (mean.length < 2) return 0;
  // The rotation of the similarity of least squares: of the sum of the products of both, as complex numbers.
  const all = mean.map((_, i) => i), [x, y] = middle(points, all), [meanX, meanY] = middle(mean.flat(), all);
  let real = 0, imaginary = 0;
  for (const [i, place] of mean.entries()) {
    const a = points[2 * i] - x, b = points[2 * i + 1] - y, c = place[0] - meanX, d = place[1] - meanY;
    real += a * c + b * d;
    imaginary += b * c - a * d;
  }
  return cropRoll([0, 0], [-imaginary, real]);
}

function middle(points: ArrayLike<number>, indices: number[]): [number, number] {
  let x = 0, y = 0;
  for (const i of indices) {
    x += points[2 * i];
    y += points[2 * i + 1];
  }
  return [x / indices.length, y / indices.length];
}
