// What the mean face says: where a new face lies, and which mirror pairs look swapped.

import type { Place, Point } from "./editor";
import type { Markup } from "./server";

const LEAST = 0.02; // of the size of the face: nearer pairs of a turned head may have changed sides

/** Points of the mean face, turned, enlarged and shifted so that two places of it lie where they were seen. */
export function laidOn(mean: readonly Place[], from: [Place, Place], to: [Place, Place]): Place[] {
  const [dx, dy] = minus(from[1], from[0]), [ex, ey] = minus(to[1], to[0]), squares = dx * dx + dy * dy;
  const [a, b] = [(ex * dx + ey * dy) / squares, (ey * dx - ex * dy) / squares];
  return mean.map((place) => {
    const [x, y] = minus(place, from[0]);
    return [to[0][0] + a * x - b * y, to[0][1] + b * x + a * y];
  });
}

/** The middle of some points. */
export function middleOf(points: readonly Place[], numbers: readonly number[]): Place {
  const sum = (axis: number) => numbers.reduce((total, i) => total + points[i][axis], 0) / numbers.length;
  return [sum(0), sum(1)];
}

/**
 * The mirror pairs that lie the other way round than on the mean face, or without one than most pairs do.
 *
 * Roll and size come from the middles of pairs and the points of none, which stay where they are when
 * left and right are confused; without two of them apart from each other nothing is said.
 */
export function swappedPairs(points: readonly Point[], { mean, pairs }: Pick<Markup, "mean" | "pairs">): [number, number][] {
  if (!mean) return againstMost(points, pairs);
  const paired = new Set(pairs.flat());
  const still = [...pairs, ...points.flatMap((_, i): [number, number][] => (paired.has(i) ? [] : [[i, i]]))];
  const known = still.filter(([one, other]) => points[one] && points[other]);
  const ours = centred(known.map((pair) => middleOf(points as Place[], pair)));
  const theirs = centred(known.map((pair) => middleOf(mean, pair)));
  const spread = sum(theirs, (i) => dot(theirs[i], theirs[i]));
  if (spread < 1e-3) return [];
  const cos = sum(ours, (i) => dot(theirs[i], ours[i])) / spread;
  const sin = sum(ours, (i) => theirs[i][0] * ours[i][1] - theirs[i][1] * ours[i][0]) / spread;
  const scale = Math.hypot(cos, sin);
  if (!scale) return [];
  return pairs.filter(([one, other]) => {
    const [from, to] = [points[one], points[other]];
    if (!from || !to) return false;
    const [x, y] = minus(mean[other], mean[one]);
    const expected: Place = [(cos * x - sin * y) / scale, (sin * x + cos * y) / scale];
    const along = dot(minus(to, from), expected) / (Math.hypot(x, y) || 1);
    return along < -LEAST * scale;
  });
}

/** The pairs that lie the other way round than all pairs together do; none where these are fewer than three. */
function againstMost(points: readonly Point[], pairs: readonly [number, number][]): [number, number][] {
  const known = pairs.filter(([one, other]) => points[one] && points[other]);
  if (known.length < 3) return [];
  const across = known.map(([one, other]) => minus(points[other]!, points[one]!));
  const lengths = across.map(([x, y]) => Math.hypot(x, y));
  const total: Place = [0, 1].map((axis) => sum(across, (i) => across[i][axis] / (lengths[i] || 1))) as Place;
  const least = LEAST * Math.max(...lengths) * Math.hypot(...total);
  return known.filter((_, i) => dot(across[i], total) < -least);
}

function centred(places: Place[]): Place[] {
  const middle = middleOf(places, places.map((_, i) => i));
  return places.map((place) => minus(place, middle));
}

const sum = (places: Place[], value: (i: number) => number) => places.reduce((total, _, i) => total + value(i), 0);
const minus = ([x, y]: Place, [u, v]: Place): Place => [x - u, y - v];
const dot = ([x, y]: Place, [u, v]: Place) => x * u + y * v;
