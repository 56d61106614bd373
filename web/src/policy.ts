// How faces are searched for, as in keypoints/filters/policy.py.

import { DETECTOR, TRACKING } from "./constants";
import { type FilterSpec, protects } from "./filters/spec";

export interface SearchPolicy {
  /** Side of the smallest faces, as of `CenterFace`. */
  smallest: number;
  /** Whether turned pictures are searched too. */
  rotations: boolean;
  /** Seconds between searches in a video; 0: every frame. */
  detectEvery: number;
}

/** The search for what is drawn with a filter: a privacy filter must see every face. */
export function searchPolicy(spec: FilterSpec | null, moving: boolean): SearchPolicy {
  const hidden = spec !== null && protects(spec), smallest = moving ? DETECTOR.moving : DETECTOR.still;
  return {
    smallest: hidden ? Math.min(smallest, DETECTOR.protected) : smallest,
    rotations: !moving,
    detectEvery: hidden ? 0 : TRACKING.detect_every,
  };
}
