// Loose pupils: a ball in a dish of radius 1, as in keypoints/filters/loose_pupil.py.

import { BALL } from "../constants";
import type { Place } from "./head";

/** [a, b, c, d]: u = a x + b y, v = c x + d y. */
export type Linear = [number, number, number, number];

export class Ball {
  private place!: Place; // since the first step
  private speed: Place = [0, 0];
  private seen: { time: number; centre: Place; speed: Place } | null = null;

  constructor(private readonly start: Place) {}

  /** Its position at `timestamp` seconds. `centre`: of the dish, pixels; `toDish`: pixels to radii. */
  step(timestamp: number, centre: Place, toDish: Linear): Place {
    const gap = this.seen ? timestamp - this.seen.time : Infinity;
    if (this.seen && gap > 0 && gap <= BALL.pause) {
      const before = this.seen, share = 1 - Math.exp(-gap / BALL.inertia);
      const speed = before.speed.map((old, i) => old + share * ((centre[i] - before.centre[i]) / gap - old)) as Place;
      const pushed = apply(toDish, [speed[0] - before.speed[0], speed[1] - before.speed[1]]);
      this.speed = [this.speed[0] - pushed[0], this.speed[1] - pushed[1]];
      this.roll(gap, apply(toDish, [0, 1]));
      this.seen = { time: timestamp, centre, speed };
    } else if (gap !== 0) {
      this.place = this.start;
      this.speed = [0, 0];
      this.seen = { time: timestamp, centre, speed: [0, 0] };
    }
    return this.place;
  }

  private roll(seconds: number, down: Place): void {
    const factor = BALL.gravity / Math.max(Math.hypot(...down), 1e-9);
    const limit = Math.min(1, BALL.fastest / Math.max(Math.hypot(...this.speed), 1e-9));
    let [u, v] = [this.speed[0] * limit, this.speed[1] * limit], [x, y] = this.place;
    const steps = Math.ceil(seconds / BALL.step), step = seconds / steps, kept = Math.exp(-BALL.damping * step);
    for (let i = 0; i < steps; i++) {
      u = (u + down[0] * factor * step) * kept;
      v = (v + down[1] * factor * step) * kept;
      x += u * step;
      y += v * step;
      const reach = Math.hypot(x, y);
      if (reach > 1) {
        x /= reach;
        y /= reach;
        const outward = Math.max(u * x + v * y, 0) * (1 + BALL.bounce);
        u -= outward * x;
        v -= outward * y;
      }
    }
    this.speed = [u, v];
    this.place = [x, y];
  }
}

function apply(m: Linear, [x, y]: Place): Place {
  return [m[0] * x + m[1] * y, m[2] * x + m[3] * y];
}
