// Threads in lockstep: a barrier of three i32 words at p: [arrived, generation, abort].

/** Waits until all threads have come. Spins briefly, then sleeps. Returns 1 where a thread has failed. */
export function barrier(p: usize, threads: i32, spins: i32): i32 {
  const generation = atomic.load<i32>(p, 4);
  if (atomic.add<i32>(p, 1) == threads - 1) {
    atomic.store<i32>(p, 0);
    atomic.add<i32>(p, 1, 4);
    atomic.notify(p + 4, -1);
    return atomic.load<i32>(p, 8);
  }
  for (let i = 0; i < spins; i++) {
    if (atomic.load<i32>(p, 4) != generation) return atomic.load<i32>(p, 8);
  }
  while (atomic.load<i32>(p, 4) == generation) {
    if (atomic.load<i32>(p, 8) != 0) return 1;
    atomic.wait<i32>(p + 4, generation, 1000000000);
  }
  return atomic.load<i32>(p, 8);
}

/** A thread has failed: wakes the others, whose barriers return 1. */
export function abort(p: usize): void {
  atomic.store<i32>(p, 1, 8);
  atomic.notify(p + 4, -1);
}
