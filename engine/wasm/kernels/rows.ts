// Ops on whole rows that an index names: gatherRows, scatterAddRows, updateRows.
import { addressAt, intAt, shareStart } from './record';
import { copyFloats, loadPart, storePart } from './lanes';

/** y[i] = x[index[i]]. Fields: x, index, y, rows of y, width. */
export function gatherRows(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), index = addressAt(p, 2), y = addressAt(p, 3), rows = intAt(p, 4);
  const bytes = <usize>intAt(p, 5) << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++)
    copyFloats(x + <usize>intAt(index, i) * bytes, y + <usize>i * bytes, intAt(p, 5));
}

/** y += x, n floats. */
export function addFloats(x: usize, y: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
    v128.store(y, f32x4.add(v128.load(y, 16), v128.load(x, 16)), 16);
    v128.store(y, f32x4.add(v128.load(y, 32), v128.load(x, 32)), 32);
    v128.store(y, f32x4.add(v128.load(y, 48), v128.load(x, 48)), 48);
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, f32x4.add(loadPart(y, n), loadPart(x, n)), n);
    x += 16; y += 16;
  }
}

/**
 * y[index[i]] += x[i]: each thread adds its own columns of all rows, so repeated rows are summed in order.
 * Fields: x, index, y, rows of x, width.
 */
export function scatterAddRows(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), index = addressAt(p, 2), y = addressAt(p, 3), rows = intAt(p, 4), width = intAt(p, 5);
  const start = shareStart(width, 16, thread, threads), n = shareStart(width, 16, thread + 1, threads) - start;
  if (n == 0) return;
  const bytes = <usize>width << 2, column = <usize>start << 2;
  for (let i = 0; i < rows; i++)
    addFloats(x + <usize>i * bytes + column, y + <usize>intAt(index, i) * bytes + column, n);
}

/** y[index[i]] = x[i]; the rows of index differ. Fields: x, index, y, rows of x, width. */
export function updateRows(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), index = addressAt(p, 2), y = addressAt(p, 3), rows = intAt(p, 4);
  const bytes = <usize>intAt(p, 5) << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++)
    copyFloats(x + <usize>i * bytes, y + <usize>intAt(index, i) * bytes, intAt(p, 5));
}
