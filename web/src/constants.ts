// The constants that the page shares with the Python code, as written by `python -m tools.page`.

import constants from "../generated/constants.json";
import type { FilterSpec } from "./filters/spec";

export const LANDMARKS = constants.landmarks as {
  count: number;
  outlines: [number[], boolean][];
  mouth: number[];
  eyes: number[];
  jaw: number[];
};
export const CROP = constants.crop;
export const UPRIGHT = constants.upright;
export const DETECTOR = constants.detector;
export const TRACKING = constants.tracking;
export const CUTS = constants.cuts;
export const SMOOTHING = constants.smoothing;
export const POSE = constants.pose;
export const HEAD = constants.head;
export const EXPRESSION = constants.expression;
export const BALL = constants.ball;
export const OVERLAY = constants.overlay;
export const COLUMNS: string[] = constants.csv.columns;
export const HIDING = constants.hiding;
export const HOLD: number = constants.hold;
export const FILTERS = constants.filters as unknown as FilterSpec[];
