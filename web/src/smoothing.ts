// The One-Euro filter for points and rotations, as in keypoints/inference/smoothing.py.

import { SMOOTHING } from "./constants";
import { type Points, faceBox } from "./geometry";
import { type Matrix3, multiply, rotationVector, transpose, turns } from "./rotation";

/** Share of the new value that a first-order low-pass takes in after `elapsed` seconds. */
export function lowPass(cutoff: number, elapsed: number): number {
  return 1 / (1 + 1 / (2 * Math.PI * cutoff * elapsed));
}

export class OneEuro {
  private points: Float64Array | null = null;
  private speed = new Float64Array(0);
  private time = 0;

  /** The filtered points at `timestamp` seconds, which must not go back. */
  smooth(points: ArrayLike<number>, timestamp: number): Points {
    const elapsed = timestamp - this.time;
    if (this.points === null || elapsed <= 0) {
      if (this.points === null) {
        this.points = Float64Array.from(points);
        this.speed = new Float64Array(points.length);
      }
      this.time = timestamp;
      return Float32Array.from(this.points);
    }
    const box = faceBox(points), side = Math.max(box[2], box[3], 1);
    const speed = this.points.map((old, i) => (points[i] - old) / elapsed / side);
    const mean = [0, 0];
    speed.forEach((value, i) => (mean[i % 2] += value / (speed.length / 2)));
    const share = lowPass(SMOOTHING.speed_cutoff, elapsed), rigid = SMOOTHING.rigid_share;
    for (let i = 0; i < speed.length; i++) {
      this.speed[i] += share * (rigid * mean[i % 2] + (1 - rigid) * speed[i] - this.speed[i]);
    }
    for (let i = 0; i < speed.length; i += 2) {
      const cutoff = SMOOTHING.min_cutoff + SMOOTHING.speed_gain * Math.hypot(this.speed[i], this.speed[i + 1]);
      const step = lowPass(cutoff, elapsed);
      this.points[i] += step * (points[i] - this.points[i]);
      this.points[i + 1] += step * (points[i + 1] - this.points[i + 1]);
    }
    this.time = timestamp;
    return Float32Array.from(this.points);
  }
}

export class OneEuroRotation {
  private rotation: Matrix3 | null = null;
  private speed: [number, number, number] = [0, 0, 0];
  private time = 0;

  /** The filtered rotation; the last one where there is none now. */
  smooth(rotation: Matrix3 | null, timestamp: number): Matrix3 | null {
    const elapsed = timestamp - this.time;
    if (this.rotation === null) {
      this.rotation = rotation;
      this.time = timestamp;
    } else if (elapsed > 0 && rotation !== null) {
      const turn = rotationVector(multiply(rotation, transpose(this.rotation)));
      const share = lowPass(SMOOTHING.speed_cutoff, elapsed);
      turn.forEach((value, i) => (this.speed[i] += share * (value / elapsed - this.speed[i])));
      const cutoff = SMOOTHING.rotation_cutoff + SMOOTHING.rotation_gain * Math.hypot(...this.speed);
      const step = lowPass(cutoff, elapsed);
      this.rotation = multiply(turns([turn[0] * step, turn[1] * step, turn[2] * step]), this.rotation);
      this.time = timestamp;
    }
    return this.rotation;
  }
}
