// Faces of pictures, estimated again where their detector's box was off, as in keypoints/inference/settling.py.

import { SETTLING, TRACKING } from "./constants";
import type { Scored } from "./estimate";
import { type Box, faceBox, overlap } from "./geometry";
import { uprightBox } from "./upright";

/** Where a crop is made. */
export interface Place {
  box: Box;
  roll: number;
}

/** Whether a box is of the same face as one of the others. */
export function overlaps(box: Box, others: Box[]): boolean {
  return others.some((other) => overlap(box, other) >= TRACKING.same_face_iou);
}

/**
 * The estimates of faces of a picture, in the places that a detector found and where they are better.
 * `known`: those of its other faces.
 */
export async function settled(
  found: Place[],
  estimate: (places: Place[]) => Promise<Scored[]>,
  known: Scored[] = [],
): Promise<Scored[]> {
  const estimates = await estimate(found);
  const better = estimates.map(({ points }) => uprightBox(points));
  const again = found.flatMap(({ box }, i) => (overlap(better[i].box, box) < SETTLING.settled_iou ? [i] : []));
  const others = await estimate(again.map((i) => better[i]));
  const order = again.map((_, i) => i).sort((a, b) => others[b].score - others[a].score);
  for (const i of order) {
    const face = again[i], other = others[i], end = faceBox(other.points);
    const good = other.score > 0 && other.score >= Math.min(estimates[face].score, TRACKING.score_threshold);
    const stays = overlap(uprightBox(other.points).box, found[face].box) >= TRACKING.same_face_iou;
    const rivals = [...estimates.filter((_, rival) => rival !== face), ...known];
    const sure = rivals.filter(({ score }) => score >= TRACKING.score_threshold);
    const taken = overlaps(end, sure.map(({ points }) => faceBox(points)));
    if (good && stays && !taken) estimates[face] = other;
  }
  return estimates;
}
