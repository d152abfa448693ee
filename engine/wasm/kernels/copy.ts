import { addressAt, intAt, shareStart } from './record';

/** fields: from, to, bytes (a multiple of 4, at most 2³¹ − 1). */
export function copyBytes(p: usize, thread: i32, threads: i32): void {
  const bytes = intAt(p, 3);
  const start = shareStart(bytes, 64, thread, threads);
  const end = shareStart(bytes, 64, thread + 1, threads);
  memory.copy(addressAt(p, 2) + start, addressAt(p, 1) + start, end - start);
}
