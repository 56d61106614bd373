// Positions on and around a head, and its outline in the picture, as in keypoints/filters/head.py.

import { HEAD, HIDING } from "../constants";
import { type Box, centreOf, rotation } from "../geometry";
import { fitRotation } from "../pose";
import { type Matrix3, transform } from "../rotation";

export type Place = [number, number];

/** What a privacy filter hides of one face. */
export interface Area {
  /** Polygon around the face. */
  outline: Place[];
  /** Longer side of the landmark box. */
  size: number;
}

/** The area of a face of which only the landmark box is known: for any pose and roll. */
export function boxArea(box: Box): Area {
  const [x, y] = centreOf(box), size = Math.max(box[2], box[3]);
  const outline = Array.from({ length: HIDING.box_corners }, (_, i): Place => {
    const [cos, sin] = rotation((360 * i) / HIDING.box_corners);
    const [centre, radii] = [HIDING.box_centre, HIDING.box_radii];
    return [x + (cos * radii[0] + centre[0]) * size, y + (sin * radii[1] + centre[1]) * size];
  });
  return { outline, size };
}

const UPPER_FACE = HEAD.upper_face;

export class Head {
  /** `turn`: from the head to the camera. `size`: pixels per head unit. */
  constructor(readonly points: ArrayLike<number>, readonly turn: Matrix3, readonly size: number) {}

  /** Picture position of the mean of some landmarks plus an offset in head units. */
  place(landmarks: number[], offset: ArrayLike<number>): Place {
    const base = meanShape(landmarks);
    const from = this.project(base), to = this.project(base.map((value, k) => value + offset[k]));
    const [x, y] = this.mean(landmarks);
    return [x + to[0] - from[0], y + to[1] - from[1]];
  }

  mean(landmarks: number[]): Place {
    let x = 0, y = 0;
    for (const i of landmarks) {
      x += this.points[2 * i] / landmarks.length;
      y += this.points[2 * i + 1] / landmarks.length;
    }
    return [x, y];
  }

  /** Whether a surface with this outward normal faces away from the camera. */
  facesAway(normal: ArrayLike<number>): boolean {
    return transform(this.turn, normal)[2] < 0;
  }

  /** Polygon of the face: the jaw and the forehead up to the hair. */
  faceOutline(): Place[] {
    const base = meanShape(UPPER_FACE);
    const jaw = HEAD.jaw.map((i): Place => [this.points[2 * i], this.points[2 * i + 1]]);
    const forehead = [...HEAD.forehead].reverse();
    return [...jaw, ...forehead.map((place) => this.place(UPPER_FACE, place.map((value, k) => value - base[k])))];
  }

  /** What a privacy filter hides. */
  area(): Area {
    return { outline: this.faceOutline(), size: this.size };
  }

  /** Polygon of the skull behind the face, without hair: the shadow of an ellipsoid. */
  skullOutline(): Place[] {
    const base = meanShape(UPPER_FACE);
    const [x, y] = this.place(UPPER_FACE, HEAD.skull_centre.map((value, k) => value - base[k]));
    const shadow = (i: number, j: number) =>
      HEAD.skull_radii.reduce((sum, radius, k) => sum + this.turn[3 * i + k] * radius * radius * this.turn[3 * j + k], 0);
    const [a, b, d] = [shadow(0, 0), shadow(0, 1), shadow(1, 1)];
    return Array.from({ length: HEAD.skull_corners }, (_, i): Place => {
      const [cos, sin] = rotation((360 * i) / HEAD.skull_corners);
      const reach = [a * cos + b * sin, b * cos + d * sin];
      const length = Math.sqrt(reach[0] * cos + reach[1] * sin) / this.size;
      return [x + reach[0] / length, y + reach[1] / length];
    });
  }

  private project(place: ArrayLike<number>): Place {
    const [x, y, z] = transform(this.turn, place);
    const closer = (this.size * HEAD.distance) / (HEAD.distance - z);
    return [x * closer, y * closer];
  }
}

/** The head of 68 points; null where they are no face. */
export function findHead(points: ArrayLike<number>): Head | null {
  const fit = fitRotation(points);
  return fit && new Head(points, fit.rotation, fit.size);
}

function meanShape(landmarks: number[]): number[] {
  return [0, 1, 2].map((k) => landmarks.reduce((sum, i) => sum + HEAD.mean_shape[i][k], 0) / landmarks.length);
}
