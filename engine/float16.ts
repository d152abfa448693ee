let table: Float32Array | undefined;

/** The value of every float16 (IEEE 754 binary16) pattern: 65,536 entries, made on first use. */
export function float16Values(): Float32Array {
  if (table === undefined) {
    table = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      const sign = bits & 0x8000 ? -1 : 1;
      table[bits] =
        exponent === 0
          ? sign * fraction * 2 ** -24
          : exponent < 31
            ? sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
            : fraction === 0
              ? sign * Infinity
              : NaN;
    }
  }
  return table;
}
