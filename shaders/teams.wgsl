// Sums and maxima over teams, each TEAM neighbouring threads of a workgroup, through workgroup memory. Comes before the
// files that use it; teamsInSubgroups.wgsl has the same functions.

struct Thread {
  @builtin(local_invocation_index) index: u32,
}

/// A power of two.
override TEAM: u32 = 256u;

var<workgroup> teamParts: array<f32, 256>;
var<workgroup> teamQuads: array<vec4f, 256>;

/// For each thread of a team, the sum of what they bring.
fn teamSum(part: f32, thread: Thread) -> f32 {
  let lane = thread.index % TEAM;
  workgroupBarrier();
  teamParts[thread.index] = part;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { teamParts[thread.index] += teamParts[thread.index + half]; }
  }
  workgroupBarrier();
  return teamParts[thread.index - lane];
}

fn teamMax(part: f32, thread: Thread) -> f32 {
  let lane = thread.index % TEAM;
  workgroupBarrier();
  teamParts[thread.index] = part;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { teamParts[thread.index] = max(teamParts[thread.index], teamParts[thread.index + half]); }
  }
  workgroupBarrier();
  return teamParts[thread.index - lane];
}

fn teamSum4(part: vec4f, thread: Thread) -> vec4f {
  let lane = thread.index % TEAM;
  workgroupBarrier();
  teamQuads[thread.index] = part;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { teamQuads[thread.index] += teamQuads[thread.index + half]; }
  }
  workgroupBarrier();
  return teamQuads[thread.index - lane];
}
