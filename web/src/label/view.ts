// Where the picture lies in the window, and what is under the pointer.

import type { Face, Place, Point } from "./editor";

const MOST = 64; // pixels of the window to one of the picture

/** `scale`: window pixels to a picture pixel. `left` and `top`: of the picture's corner. */
export interface View {
  scale: number;
  left: number;
  top: number;
}

/** In the window: the centre of the picture's first pixel is half a pixel from its corner. */
export function toWindow({ scale, left, top }: View, [x, y]: Place): Place {
  return [(x + 0.5) * scale + left, (y + 0.5) * scale + top];
}

export function toPicture({ scale, left, top }: View, [x, y]: Place): Place {
  return [(x - left) / scale - 0.5, (y - top) / scale - 0.5];
}

/** The whole picture in the middle. */
export function fitted(width: number, height: number, wide: number, tall: number): View {
  const scale = Math.min(wide / width, tall / height);
  return { scale, left: (wide - width * scale) / 2, top: (tall - height * scale) / 2 };
}

/** What is under the pointer stays there. */
export function zoomed(view: View, [x, y]: Place, factor: number, least: number): View {
  const scale = Math.min(Math.max(view.scale * factor, least), MOST), ratio = scale / view.scale;
  return { scale, left: x - (x - view.left) * ratio, top: y - (y - view.top) * ratio };
}

/** The view that shows a place in the middle of the window where it is outside of it now. */
export function showing(view: View, place: Place, width: number, height: number): View {
  const [x, y] = toWindow(view, place), edge = 20;
  if (x >= edge && y >= edge && x <= width - edge && y <= height - edge) return view;
  return { ...view, left: view.left + width / 2 - x, top: view.top + height / 2 - y };
}

export interface Outline {
  points: number[];
  closed: boolean;
}

export type Target = { kind: "point"; face: number; point: number } | { kind: "outline" | "face"; face: number; points: number[] } | null;

/** The nearest point within `reach` pixels of the window, else the outline, else the face around it. */
export function under(faces: readonly Face[], outlines: Outline[], view: View, at: Place, reach: number): Target {
  let best: Target = null, nearest = reach;
  const seats = faces.map(({ points }) => points.map((point) => point && toWindow(view, point)));
  seats.forEach((points, face) => points.forEach((seat, point) => {
    const away = seat ? distance(seat, at) : Infinity;
    if (away < nearest) [best, nearest] = [{ kind: "point", face, point }, away];
  }));
  if (best) return best;
  nearest = reach * 0.6;
  seats.forEach((points, face) => outlines.forEach((outline) => {
    for (const [a, b] of lines(outline)) {
      const [from, to] = [points[a], points[b]], away = from && to ? distanceToLine(at, from, to) : Infinity;
      if (away < nearest) [best, nearest] = [{ kind: "outline", face, points: outline.points }, away];
    }
  }));
  return best ?? around(seats, at);
}

function around(seats: Point[][], at: Place): Target {
  const face = seats.findIndex((points) => {
    const known = points.filter((point): point is Place => point !== null);
    return [0, 1].every((axis) => {
      const values = known.map((point) => point[axis]);
      return at[axis] >= Math.min(...values) && at[axis] <= Math.max(...values);
    });
  });
  return face < 0 ? null : { kind: "face", face, points: seats[face].map((_, i) => i) };
}

/** Pairs of points that an outline joins. */
export function lines({ points, closed }: Outline): [number, number][] {
  const pairs = points.slice(1).map((point, i): [number, number] => [points[i], point]);
  return closed ? [...pairs, [points[points.length - 1], points[0]]] : pairs;
}

/** The distances of all points from one, along the outlines that it is in, or straight where it is in none. */
export function distancesAlong(points: readonly Point[], from: number, outlines: readonly Outline[]): number[] {
  const own = outlines.filter(({ points: numbers }) => numbers.includes(from));
  const start = points[from];
  const away = points.map((point) => (own.length || !point || !start ? Infinity : distance(point, start)));
  away[from] = 0;
  for (const { points: numbers, closed } of own) {
    const known = numbers.filter((number) => points[number]), first = known.indexOf(from);
    const turned = closed ? [...known.slice(first), ...known.slice(0, first), from] : null;
    for (const way of turned ? [turned, [...turned].reverse()] : [known.slice(first), known.slice(0, first + 1).reverse()]) {
      let length = 0;
      way.forEach((number, i) => {
        if (i) length += distance(points[number]!, points[way[i - 1]]!);
        away[number] = Math.min(away[number], length);
      });
    }
  }
  return away;
}

const distance = ([x, y]: Place, [u, v]: Place) => Math.hypot(x - u, y - v);

function distanceToLine(at: Place, from: Place, to: Place): number {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]], squares = dx * dx + dy * dy || 1;
  const along = Math.min(Math.max(((at[0] - from[0]) * dx + (at[1] - from[1]) * dy) / squares, 0), 1);
  return distance(at, [from[0] + along * dx, from[1] + along * dy]);
}
