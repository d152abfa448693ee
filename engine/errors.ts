/** An error that a user's input can cause; its message is one readable sentence that says what to do. */
export class PrefgradError extends Error {
  override readonly name: string = 'PrefgradError';
}

/** Tensors whose shapes or types do not fit an operation. Thrown where the operation is called. */
export class ShapeError extends PrefgradError {
  override readonly name = 'ShapeError';
}

/** The GPU went away, with all numbers on it. */
export class DeviceLostError extends PrefgradError {
  override readonly name = 'DeviceLostError';
}
