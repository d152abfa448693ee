// Comes before every other file.

/// True rows of each count of the program, as the inputs of this run give them.
@group(0) @binding(0) var<uniform> counts: array<vec4u, 4>;

/// The count at `place`, or the capacity where the rows are not counted (NO_COUNT).
const NO_COUNT = 16u;
fn rowsAt(place: u32, capacity: u32) -> u32 {
  if (place == NO_COUNT) { return capacity; }
  return counts[place / 4u][place % 4u];
}

/// Workgroups of a long list, laid out over x and y because one dimension ends at 65,535.
fn listIndex(workgroup: vec3u, workgroups: vec3u) -> u32 { return workgroup.y * workgroups.x + workgroup.x; }
