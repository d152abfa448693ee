// Dispatches over long lists of elements: a workgroup takes THREADS · EACH neighbouring ones. Comes before the files that
// use it; engine/webgpu/lower/list.ts gives the constants and the workgroups.

const THREADS = 256u;
const EACH = 4u;

/// Elements: WIDTH for each true row of the count at PLACE; the capacity where no rows are counted.
override PLACE: u32 = 16u;
override WIDTH: u32 = 1u;
/// Loops over them, but for the outermost, whose size nothing needs.
override SIZE1: u32 = 1u;
override SIZE2: u32 = 1u;
override SIZE3: u32 = 1u;

struct List {
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
}

fn listLength(capacity: u32) -> u32 { return rowsAt(PLACE, capacity / WIDTH) * WIDTH; }

/// A thread's element `e` of EACH.
fn listAt(list: List, e: u32) -> u32 {
  return (listIndex(list.workgroup, list.workgroups) * EACH + e) * THREADS + list.thread;
}

/// A thread's one vector of EACH elements.
fn listVector(list: List) -> u32 { return listIndex(list.workgroup, list.workgroups) * THREADS + list.thread; }

/// Indices of element `i` in the four loops.
fn loopsAt(i: u32) -> vec4u {
  return vec4u(i / (SIZE3 * SIZE2 * SIZE1), i / (SIZE3 * SIZE2) % SIZE1, i / SIZE3 % SIZE2, i % SIZE3);
}
