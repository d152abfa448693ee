import { isBlockFormat, minimumOf, scaleOf, unpackBlocks, type BlockFormat } from '../../engine/blocks.ts';
import { float16Values } from '../../engine/float16.ts';
import { bfloat16ToFloat32 } from '../../engine/bfloat16.ts';
import { float16ToFloat32 } from './halfFloats.ts';
import { storages, type GgufType } from './ggufTypes.ts';
import type { Bytes } from './source.ts';

/**
 * GGUF's stored blocks as float32. Every product and sum is rounded to float32 where ggml rounds, so the
 * values are ggml's own to the last bit. Layouts: ggml's ggml-common.h, arithmetic: ggml-quants.c.
 */
export function dequantize(type: GgufType, bytes: Bytes): Float32Array {
  switch (type) {
    case 'F32':
      return new Float32Array(bytes.buffer);
    case 'F16':
      return float16ToFloat32(new Uint16Array(bytes.buffer));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(bytes.buffer));
    default: {
      if (isBlockFormat(type)) return unpackBlocks(type, bytes);
      const { block, bytes: blockBytes } = storages[type];
      const values = new Float32Array((bytes.length / blockBytes) * block);
      unpack[type](bytes, values, float16Values());
      return values;
    }
  }
}

type Unpack = (bytes: Uint8Array, values: Float32Array, float16: Float32Array) => void;

const round = Math.fround;

/** Those that the engine's kernels do not read. */
const unpack: Record<Exclude<GgufType, 'F32' | 'F16' | 'BF16' | BlockFormat>, Unpack> = {
  /** Block: d (f16), 32 fifth bits, 16 × two 4-bit q. x = d (q − 16). */
  Q5_0(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 22, out += 32) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      const high = bytes[at + 2] | (bytes[at + 3] << 8) | (bytes[at + 4] << 16) | (bytes[at + 5] << 24);
      for (let i = 0; i < 16; i++) {
        const q = bytes[at + 6 + i];
        values[out + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16);
        values[out + 16 + i] = d * (((q >> 4) | (((high >>> (16 + i)) & 1) << 4)) - 16);
      }
    }
  },

  /** Block: d, m (f16), 32 fifth bits, 16 × two 4-bit q. x = d q + m. */
  Q5_1(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 24, out += 32) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      const m = float16[bytes[at + 2] | (bytes[at + 3] << 8)];
      const high = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
      for (let i = 0; i < 16; i++) {
        const q = bytes[at + 8 + i];
        values[out + i] = round(d * ((q & 15) | (((high >>> i) & 1) << 4))) + m;
        values[out + 16 + i] = round(d * ((q >> 4) | (((high >>> (16 + i)) & 1) << 4))) + m;
      }
    }
  },

  /** As Q4_K with a fifth bit of q: bit `group` of the 32 bytes before the 4-bit parts. */
  Q5_K(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 176, out += 256) {
      const d = float16[bytes[at] | (bytes[at + 1] << 8)];
      const dmin = float16[bytes[at + 2] | (bytes[at + 3] << 8)];
      for (let group = 0; group < 8; group++) {
        const scale = round(d * scaleOf(bytes, at + 4, group));
        const minimum = round(dmin * minimumOf(bytes, at + 4, group));
        const from = at + 48 + (group >> 1) * 32;
        const shift = (group & 1) * 4;
        for (let i = 0; i < 32; i++) {
          const high = ((bytes[at + 16 + i] >> group) & 1) << 4;
          values[out + group * 32 + i] = round(scale * (((bytes[from + i] >> shift) & 15) | high)) - minimum;
        }
      }
    }
  },

  /** Block of 16 × 16: 128 bytes of 4 low bits, 64 of 2 high bits, 16 signed scales s, d (f16). x = (d s)(q − 32). */
  Q6_K(bytes, values, float16) {
    for (let at = 0, out = 0; at < bytes.length; at += 210, out += 256) {
      const d = float16[bytes[at + 208] | (bytes[at + 209] << 8)];
      for (let group = 0; group < 16; group++) {
        const scale = round(d * ((bytes[at + 192 + group] << 24) >> 24));
        // Each half of the block has 4 runs of 32 values: low bits from 2 × 32 bytes, high bits from 32.
        const half = group >> 3;
        const run = (group >> 1) & 3;
        const first = (group & 1) * 16;
        const low = at + half * 64 + (run & 1) * 32 + first;
        const high = at + 128 + half * 32 + first;
        for (let i = 0; i < 16; i++) {
          const q = ((bytes[low + i] >> ((run >> 1) * 4)) & 15) | (((bytes[high + i] >> (2 * run)) & 3) << 4);
          values[out + group * 16 + i] = scale * (q - 32);
        }
      }
    }
  },
};
