// teams.wgsl for adapters with subgroups of LEAST_LANES threads or more, which exchange numbers without workgroup memory.
// Right for subgroups of any power of two, also where they differ from pipeline to pipeline, as long as neighbouring
// threads make up a subgroup, which engine/webgpu/trials.ts tries. Sums have a fixed order on one adapter.

enable subgroups;
// What depends on a subgroup's size is the same throughout a subgroup.
diagnostic(off, subgroup_uniformity);

struct Thread {
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) lanes: u32,
}

override TEAM: u32 = 256u;

// One of each subgroup's part of a team. Subgroups have at least 4 threads.
var<workgroup> teamParts: array<f32, 64>;
var<workgroup> teamQuads: array<vec4f, 64>;

fn teamSum(part: f32, thread: Thread) -> f32 {
  var total = part;
  let lanes = min(TEAM, thread.lanes);
  for (var step = lanes / 2u; step > 0u; step /= 2u) { total += subgroupShuffleXor(total, step); }
  if (TEAM > LEAST_LANES) {
    workgroupBarrier();
    if (thread.index % lanes == 0u) { teamParts[thread.index / lanes] = total; }
    workgroupBarrier();
    let first = thread.index / TEAM * (TEAM / lanes);
    total = teamParts[first];
    for (var i = 1u; i < TEAM / lanes; i++) { total += teamParts[first + i]; }
  }
  return total;
}

fn teamMax(part: f32, thread: Thread) -> f32 {
  var most = part;
  let lanes = min(TEAM, thread.lanes);
  for (var step = lanes / 2u; step > 0u; step /= 2u) { most = max(most, subgroupShuffleXor(most, step)); }
  if (TEAM > LEAST_LANES) {
    workgroupBarrier();
    if (thread.index % lanes == 0u) { teamParts[thread.index / lanes] = most; }
    workgroupBarrier();
    let first = thread.index / TEAM * (TEAM / lanes);
    for (var i = 0u; i < TEAM / lanes; i++) { most = max(most, teamParts[first + i]); }
  }
  return most;
}

fn teamSum4(part: vec4f, thread: Thread) -> vec4f {
  var total = part;
  let lanes = min(TEAM, thread.lanes);
  for (var step = lanes / 2u; step > 0u; step /= 2u) { total += subgroupShuffleXor(total, step); }
  if (TEAM > LEAST_LANES) {
    workgroupBarrier();
    if (thread.index % lanes == 0u) { teamQuads[thread.index / lanes] = total; }
    workgroupBarrier();
    let first = thread.index / TEAM * (TEAM / lanes);
    total = teamQuads[first];
    for (var i = 1u; i < TEAM / lanes; i++) { total += teamQuads[first + i]; }
  }
  return total;
}
