// The constants that the page shares with the Python code, as written by `python -m tools.page`.

import constants from "../generated/constants.json";
import type { FilterSpec } from "./filters/spec";

export const CROP = constants.crop;
export const UPRIGHT = constants.upright;
export const SETTLING = constants.settling;
export const DETECTOR = constants.detector;
export const TRACKING = constants.tracking;
export const CUTS = constants.cuts;
export const SMOOTHING = constants.smoothing;
export const POSE = constants.pose;
export const HEAD = constants.head;
export const BALL = constants.ball;
export const OVERLAY = constants.overlay;
export const HIDING = constants.hiding;
export const HOLD: number = constants.hold;
export const FILTERS = constants.filters as unknown as FilterSpec[];

/** What the page must know of the network that finds the points: `model_constants` of keypoints/web/models.py. */
export interface Model {
  crop_scale: number;
  half_score: number;
  count: number;
  outlines: [number[], boolean][];
  /** Centre and size of the face box in tight boxes of the points. */
  face_box: number[];
  /** Points of the eyes and of the mouth; none where it is not known which they are. */
  eyes: number[];
  mouth: number[];
  mean: [number, number][];
  /** Points that keep their place on a head, and where; none: no head pose. */
  rigid: number[];
  rigid_shape: number[][];
  /** Pairs of points, the ends first; none where they are not known. */
  eye_openings: [number, number][][];
  mouth_opening: [number, number][];
  columns: string[];
  /** Whether stickers can be drawn: the points are the 68 of iBUG. */
  whole: boolean;
  /** Names of the filters that can be drawn. */
  filters: string[];
}

export let MODEL: Model;

/** Take the network's constants, before anything is computed. */
export function useModel(model: Model): void {
  MODEL = model;
}
