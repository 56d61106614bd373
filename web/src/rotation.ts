// Rotations in three dimensions: matrices of 9 numbers, row by row.

export type Matrix3 = number[];
export type Vector3 = [number, number, number];

export function multiply(a: Matrix3, b: Matrix3): Matrix3 {
  const product = new Array<number>(9);
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) {
      product[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
    }
  }
  return product;
}

export function transpose(m: Matrix3): Matrix3 {
  return [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]];
}

export function transform(m: Matrix3, v: ArrayLike<number>): Vector3 {
  return [
    m[0] * v[0] + m[1] * v[1] + m[2] * v[2],
    m[3] * v[0] + m[4] * v[1] + m[5] * v[2],
    m[6] * v[0] + m[7] * v[1] + m[8] * v[2],
  ];
}

export function cross(a: ArrayLike<number>, b: ArrayLike<number>): Vector3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** The rotation about `axis` by its length in radians (Rodrigues). */
export function turns(axis: Vector3): Matrix3 {
  const angle = Math.hypot(...axis);
  const first = angle < 1e-9 ? 1 : Math.sin(angle) / angle;
  const second = angle < 1e-4 ? 0.5 : (1 - Math.cos(angle)) / (angle * angle);
  const [x, y, z] = axis;
  const matrix = [0, -z, y, z, 0, -x, -y, x, 0];
  const square = multiply(matrix, matrix);
  return matrix.map((value, i) => (i % 4 === 0 ? 1 : 0) + first * value + second * square[i]);
}

/** The axis of a rotation, as long as its angle in radians. */
export function rotationVector(m: Matrix3): Vector3 {
  const axis: Vector3 = [(m[7] - m[5]) / 2, (m[2] - m[6]) / 2, (m[3] - m[1]) / 2];
  const sin = Math.hypot(...axis), cos = Math.min(Math.max((m[0] + m[4] + m[8] - 1) / 2, -1), 1);
  if (sin >= 1e-5) {
    const factor = Math.atan2(sin, cos) / sin;
    return [axis[0] * factor, axis[1] * factor, axis[2] * factor];
  }
  if (cos > 0) return [0, 0, 0];
  // Half a turn: the axis is the largest column of (m + 1) / 2.
  const column = [1, 2].reduce((best, i) => (m[4 * i] > m[4 * best] ? i : best), 0);
  const found: Vector3 = [m[column], m[3 + column], m[6 + column]];
  found[column] += 1;
  const length = Math.hypot(...found) / Math.PI;
  return [found[0] / length, found[1] / length, found[2] / length];
}

/** The solution of a square system, rows of `matrix` and `right`; null where there is none. */
export function solve(matrix: number[][], right: number[]): number[] | null {
  const rows = matrix.map((row, i) => [...row, right[i]]), n = rows.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let k = i + 1; k < n; k++) if (Math.abs(rows[k][i]) > Math.abs(rows[pivot][i])) pivot = k;
    if (!(Math.abs(rows[pivot][i]) > 1e-12)) return null;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let k = 0; k < n; k++) {
      if (k === i) continue;
      const factor = rows[k][i] / rows[i][i];
      for (let j = i; j <= n; j++) rows[k][j] -= factor * rows[i][j];
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}
