// Pictures and face boxes to points in the picture's pixels, as in keypoints/inference/predictor.py.

import { CROP, MODEL } from "./constants";
import type { Estimate } from "./estimate";
import { type Box, type Picture, apply, crop, cropMatrix, invert, scaleOf } from "./geometry";

/** Crops (n, 224, 224, 3) from 0 to 255 to points (n, 2 k) and uncertainties (n, k) in crop pixels. */
export type Network = (crops: Float32Array, count: number) => Promise<{ points: Float32Array; uncertainty: Float32Array }>;

export interface Predictor {
  estimate(picture: Picture, boxes: Box[], rolls: number[]): Promise<Estimate[]>;
}

export class CropPredictor implements Predictor {
  constructor(private readonly network: Network) {}

  async estimate(picture: Picture, boxes: Box[], rolls: number[]): Promise<Estimate[]> {
    const estimates: Estimate[] = [];
    const length = CROP.size * CROP.size * 3, count = MODEL.count;
    for (let start = 0; start < boxes.length; start += CROP.batch) {
      const matrices = boxes.slice(start, start + CROP.batch).map((box, i) => cropMatrix(box, rolls[start + i]));
      const crops = new Float32Array(matrices.length * length);
      matrices.forEach((matrix, i) => crop(picture, matrix, crops.subarray(i * length, (i + 1) * length)));
      const found = await this.network(crops, matrices.length);
      matrices.forEach((matrix, i) => {
        const points = found.points.subarray(i * 2 * count, (i + 1) * 2 * count);
        const uncertainty = found.uncertainty.slice(i * count, (i + 1) * count);
        const scale = scaleOf(matrix);
        estimates.push({ points: apply(invert(matrix), points), uncertainty: uncertainty.map((value) => value / scale) });
      });
    }
    return estimates;
  }
}
