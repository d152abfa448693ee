// Comes before every other file.

/// True rows of each count of the program, as the inputs of this run give them.
@group(0) @binding(0) var<uniform> counts: array<vec4u, 4>;

/// The count at `place`, or the capacity where the rows are not counted (NO_COUNT).
const NO_COUNT = 16u;
fn rowsAt(place: u32, capacity: u32) -> u32 {
  if (place == NO_COUNT) { return capacity; }
  return counts[place / 4u][place % 4u];
}

/// 32 random bits from a counter: element · INDEX_FACTOR + seed · SEED_FACTOR (counterHash of engine/ops/counterHash.ts).
const INDEX_FACTOR = 747796405u;
const SEED_FACTOR = 277803737u;
fn counterHash(counter: u32) -> u32 {
  var h = (counter ^ (counter >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

/// Workgroups of a long list, laid out over x and y because one dimension ends at 65,535.
fn listIndex(workgroup: vec3u, workgroups: vec3u) -> u32 { return workgroup.y * workgroups.x + workgroup.x; }
