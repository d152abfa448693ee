import { float16Values } from './float16.ts';

/**
 * Formats of GGUF in which a frozen variable's numbers may stay: `size` numbers of a row in `bytes` bytes. Kernels
 * unpack them; `code` is what they call the format (wasm/kernels/blocks.ts).
 */
export const blockFormats = {
  Q8_0: { size: 32, bytes: 34, code: 1 },
  Q4_0: { size: 32, bytes: 18, code: 2 },
  Q4_1: { size: 32, bytes: 20, code: 3 },
  Q4_K: { size: 256, bytes: 144, code: 4 },
} as const;

export type BlockFormat = keyof typeof blockFormats;

export const isBlockFormat = (name: string): name is BlockFormat => Object.hasOwn(blockFormats, name);

/** Bytes of so many numbers. */
export const blockBytes = (format: BlockFormat, numbers: number): number =>
  (numbers / blockFormats[format].size) * blockFormats[format].bytes;

/**
 * The numbers of stored blocks. Every product and sum is rounded to float32 where ggml rounds, so they are ggml's own
 * to the last bit. Layouts: ggml's ggml-common.h, arithmetic: ggml-quants.c.
 */
export function unpackBlocks(format: BlockFormat, bytes: Uint8Array): Float32Array {
  const { size, bytes: each } = blockFormats[format];
  const values = new Float32Array((bytes.length / each) * size);
  unpack[format](bytes, values, float16Values());
  return values;
}

type Unpack = (bytes: Uint8Array, values: Float32Array, float16: Float32Array) => void;

const round = Math.fround;

const unpack: Record<BlockFormat, Unpack> = {
  /** Block: d (f16), 32 × signed 8-bit q. x = d q. */
  Q8_0(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 34, out += 32) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      for (let i = 0; i < 32; i++) values[out + i] = d * ((bytes[at + 2 + i] << 24) >> 24);
    }
  },

  /** Block: d (f16), 16 × two 4-bit q; low halves are values 0–15, high halves 16–31. x = d (q − 8). */
  Q4_0(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 18, out += 32) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      for (let i = 0; i < 16; i++) {
        const q = bytes[at + 2 + i];
        values[out + i] = d * ((q & 15) - 8);
        values[out + 16 + i] = d * ((q >> 4) - 8);
      }
    }
  },

  /** Block: d, m (f16), 16 × two 4-bit q. x = d q + m. */
  Q4_1(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 20, out += 32) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      const m = float16[bytes[at + 2] | (bytes[at + 3] << 8)];
      for (let i = 0; i < 16; i++) {
        const q = bytes[at + 4 + i];
        values[out + i] = round(d * (q & 15)) + m;
        values[out + 16 + i] = round(d * (q >> 4)) + m;
      }
    }
  },

  /** Block of 8 × 32: d, dmin (f16), 8 scales s and minima t of 6 bits, 4-bit q. x = (d s) q − dmin t. */
  Q4_K(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 144, out += 256) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      const dmin = float16[bytes[at + 2] | (bytes[at + 3] << 8)];
      for (let group = 0; group < 8; group++) {
        const scale = round(d * scaleOf(bytes, at + 4, group));
        const minimum = round(dmin * minimumOf(bytes, at + 4, group));
        const from = at + 16 + (group >> 1) * 32; // two groups share 32 bytes: low halves, then high
        const shift = (group & 1) * 4;
        for (let i = 0; i < 32; i++) {
          values[out + group * 32 + i] = round(scale * ((bytes[from + i] >> shift) & 15)) - minimum;
        }
      }
    }
  },
};

/** The 6-bit scale of a group, out of K-quants' 12 packed bytes. */
export function scaleOf(bytes: Uint8Array, at: number, group: number): number {
  return group < 4
    ? bytes[at + group] & 63
    : (bytes[at + 4 + group] & 15) | ((bytes[at + group - 4] >> 6) << 4);
}

/** The 6-bit minimum of a group, out of K-quants' 12 packed bytes. */
export function minimumOf(bytes: Uint8Array, at: number, group: number): number {
  return group < 4
    ? bytes[at + 4 + group] & 63
    : (bytes[at + 4 + group] >> 4) | ((bytes[at + group] >> 6) << 4);
}
