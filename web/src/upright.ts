// How far the crop of a tilted face is turned, as in keypoints/inference/upright.py.

import { LANDMARKS, UPRIGHT } from "./constants";
import { type Box, centreOf, landmarkBox, rotation } from "./geometry";

/** The tilt of the line from the eyes to the mouth in degrees, less what the network takes. */
export function cropRoll(eyes: [number, number], mouth: [number, number]): number {
  const tilt = (Math.atan2(eyes[0] - mouth[0], mouth[1] - eyes[1]) * 180) / Math.PI;
  return Math.sign(tilt) * Math.max(Math.abs(tilt) - UPRIGHT.tilt_kept, 0);
}

/** The tight box of a face turned back by its roll, and that roll. */
export function uprightBox(points: ArrayLike<number>): { box: Box; roll: number } {
  const roll = cropRoll(middle(points, LANDMARKS.eyes), middle(points, LANDMARKS.mouth));
  const [cos, sin] = rotation(roll);
  const back = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    back[i] = cos * points[i] + sin * points[i + 1];
    back[i + 1] = cos * points[i + 1] - sin * points[i];
  }
  const box = landmarkBox(back);
  const [x, y] = centreOf(box);
  const centre = [cos * x - sin * y, sin * x + cos * y];
  return { box: [centre[0] - box[2] / 2, centre[1] - box[3] / 2, box[2], box[3]], roll };
}

function middle(points: ArrayLike<number>, indices: number[]): [number, number] {
  let x = 0, y = 0;
  for (const i of indices) {
    x += points[2 * i];
    y += points[2 * i + 1];
  }
  return [x / indices.length, y / indices.length];
}
