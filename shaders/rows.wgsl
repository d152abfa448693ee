// Ops on whole rows that an index names.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read> base: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
// The entries of the index in ascending order of what they name, and what each names.
@group(0) @binding(5) var<storage, read_write> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> keys: array<u32>;

// Entries of the index; WIDTH elements belong to each.
override CAPACITY: u32 = 1u;
// Rows of y, of sumGroups.
override GROUPS_PLACE: u32 = 16u;
override GROUPS: u32 = 1u;
override HAS_BASE: bool = false;

/// y[i] = x[index[i]].
@compute @workgroup_size(THREADS)
fn gather(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = x[index[i / WIDTH] * WIDTH + i % WIDTH]; }
  }
}

/// y[index[i]] = x[i].
@compute @workgroup_size(THREADS)
fn replace(list: List) {
  let n = listLength(arrayLength(&x));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[index[i / WIDTH] * WIDTH + i % WIDTH] = x[i]; }
  }
}

var<workgroup> ranks: array<u32, THREADS>;

/// Sorts the entries: a place is the number of those that come before, which 16 threads count for each of 16 entries.
@compute @workgroup_size(16, 16)
fn sort(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = rowsAt(PLACE, CAPACITY);
  let i = listIndex(workgroup, workgroups) * 16u + local.x;
  let key = index[min(i, n - 1u)];
  var before = 0u;
  for (var j = local.y; j < n; j += 16u) {
    let other = index[j];
    before += u32(other < key || (other == key && j < i));
  }
  ranks[thread] = before;
  for (var half = 8u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.y < half) { ranks[thread] += ranks[thread + half * 16u]; }
  }
  if (local.y > 0u || i >= n) { return; }
  let place = ranks[thread];
  order[place] = i;
  keys[place] = key;
}

/// y[key] += the sum of all x whose entries have the key, in order: by the workgroups at the first of them.
@compute @workgroup_size(THREADS)
fn sumSorted(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = rowsAt(PLACE, CAPACITY);
  let blocks = (WIDTH + THREADS - 1u) / THREADS;
  let list = listIndex(workgroup, workgroups);
  let first = list / blocks;
  let column = list % blocks * THREADS + thread;
  if (first >= n || column >= WIDTH) { return; }
  let key = keys[first];
  if (first > 0u && keys[first - 1u] == key) { return; }
  let to = key * WIDTH + column;
  var total = y[to];
  var i = first;
  // Four at a time, whose loads do not wait for each other.
  while (i + 3u < n && keys[i + 3u] == key) {
    let a = x[order[i] * WIDTH + column];
    let b = x[order[i + 1u] * WIDTH + column];
    let c = x[order[i + 2u] * WIDTH + column];
    let d = x[order[i + 3u] * WIDTH + column];
    total = total + a + b + c + d;
    i += 4u;
  }
  while (i < n && keys[i] == key) {
    total += x[order[i] * WIDTH + column];
    i++;
  }
  y[to] = total;
}

/// As sort and sumSorted, where narrow rows go to few: a workgroup sums one element of y over all entries.
@compute @workgroup_size(THREADS)
fn sumGroups(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let n = rowsAt(PLACE, CAPACITY);
  let to = listIndex(workgroup, workgroups);
  let key = to / WIDTH;
  let column = to % WIDTH;
  if (key >= rowsAt(GROUPS_PLACE, GROUPS)) { return; }
  var total = 0.0;
  for (var i = thread.index; i < n; i += THREADS) {
    if (index[i] == key) { total += x[i * WIDTH + column]; }
  }
  total = teamSum(total, thread);
  if (thread.index > 0u) { return; }
  if (HAS_BASE) { total += base[to]; }
  y[to] = total;
}
