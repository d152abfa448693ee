import { PrefgradError } from '../../engine/errors.ts';
import type { GgufArchitecture } from './ggufConfig.ts';

/** How a tensor's rows or columns are arranged in GGUF, and so what has to be undone. */
export type GgufLayout =
  | { readonly kind: 'same' }
  /** Stored [out, in], wanted [in, out]: GPT-2's Conv1D. */
  | { readonly kind: 'transposed' }
  /** Rows of each head interleaved for ggml's rotary pairs (2 i, 2 i + 1), wanted (i, i + half). */
  | { readonly kind: 'interleaved'; readonly heads: number }
  /** All heads' queries, then their keys, then their values, wanted together head by head: GPT-NeoX's. */
  | { readonly kind: 'fused'; readonly heads: number };

export interface GgufTensorPlace {
  /** Its name in Hugging Face's layout. */
  readonly name: string;
  readonly layout: GgufLayout;
}

const same: GgufLayout = { kind: 'same' };
const transposed: GgufLayout = { kind: 'transposed' };

const llamaNames: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

const qwen3Names: Readonly<Record<string, string>> = {
  ...llamaNames,
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
};

const gpt2Names: Readonly<Record<string, string>> = {
  token_embd: 'transformer.wte',
  position_embd: 'transformer.wpe',
  output_norm: 'transformer.ln_f',
  output: 'lm_head',
  attn_norm: 'ln_1',
  ffn_norm: 'ln_2',
  attn_qkv: 'attn.c_attn',
  attn_output: 'attn.c_proj',
  ffn_up: 'mlp.c_fc',
  ffn_down: 'mlp.c_proj',
};

const gptNeoXNames: Readonly<Record<string, string>> = {
  token_embd: 'gpt_neox.embed_in',
  output_norm: 'gpt_neox.final_layer_norm',
  output: 'embed_out',
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_qkv: 'attention.query_key_value',
  attn_output: 'attention.dense',
  ffn_up: 'mlp.dense_h_to_4h',
  ffn_down: 'mlp.dense_4h_to_h',
};

/** Tensors' names, and what their layers' names begin with. */
const placing: Readonly<
  Record<GgufArchitecture, { names: Readonly<Record<string, string>>; layers: string }>
> = {
  llama: { names: llamaNames, layers: 'model.layers' },
  qwen2: { names: llamaNames, layers: 'model.layers' },
  qwen3: { names: qwen3Names, layers: 'model.layers' },
  gpt2: { names: gpt2Names, layers: 'transformer.h' },
  gptneox: { names: gptNeoXNames, layers: 'gpt_neox.layers' },
};

export interface GgufHeads {
  readonly heads: number;
  readonly keyValueHeads: number;
}

/**
 * Where a tensor of a GGUF file belongs in Hugging Face's layout, by llama.cpp's naming
 * (`blk.0.attn_q.weight`); undefined for tables that are no weights (`rope_freqs.weight`).
 */
export function placeGgufTensor(
  file: string,
  architecture: GgufArchitecture,
  tensor: string,
  { heads, keyValueHeads }: GgufHeads,
): GgufTensorPlace | undefined {
  if (tensor === 'rope_freqs.weight') return undefined;
  const { names, layers } = placing[architecture];
  const parts = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(tensor);
  const [, block, part = '', kind] = parts ?? [];
  if (!Object.hasOwn(names, part)) {
    throw new PrefgradError(
      `${file}: tensor ${tensor} is not one of a ${architecture} model's; the model has parts that are not supported here`,
    );
  }
  const name = `${block === undefined ? '' : `${layers}.${block}.`}${names[part]}.${kind}`;
  if (architecture === 'gpt2' && block !== undefined && kind === 'weight' && !part.endsWith('norm')) {
    return { name, layout: transposed };
  }
  if (architecture === 'gptneox' && part === 'attn_qkv') return { name, layout: { kind: 'fused', heads } };
  if (architecture === 'llama' && part === 'attn_q') return { name, layout: { kind: 'interleaved', heads } };
  if (architecture === 'llama' && part === 'attn_k') {
    return { name, layout: { kind: 'interleaved', heads: keyValueHeads } };
  }
  return { name, layout: same };
}

/** The shape that a tensor has once its layout is undone. */
export function layoutShape(layout: GgufLayout, shape: readonly number[]): readonly number[] {
  return layout.kind === 'transposed' ? [...shape].reverse() : shape;
}

/** Numbers, or bytes of rows in blocks, which are put into another order as a whole. */
type Rows = Float32Array | Uint8Array;

/** An array of the same kind. */
const emptyLike = <T extends Rows>(values: T): T =>
  new (values.constructor as new (length: number) => T)(values.length);

/** Undoes a layout; `shape` is the stored one. Bytes of rows in blocks cannot be transposed. */
export function undoLayout<T extends Rows>(layout: GgufLayout, shape: readonly number[], values: T): T {
  switch (layout.kind) {
    case 'same':
      return values;
    case 'transposed':
      return transpose(values, shape[0], shape[1]);
    case 'interleaved':
      return deinterleave(values, shape[0], layout.heads);
    case 'fused':
      return fuse(values, layout.heads);
  }
}

/** [rows, columns] to [columns, rows], in tiles that fit the cache. */
function transpose<T extends Rows>(values: T, rows: number, columns: number): T {
  const tile = 32;
  const out = emptyLike(values);
  for (let top = 0; top < rows; top += tile) {
    for (let left = 0; left < columns; left += tile) {
      const bottom = Math.min(top + tile, rows);
      const right = Math.min(left + tile, columns);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++)
          out[column * rows + row] = values[row * columns + column];
      }
    }
  }
  return out;
}

/** Row (head, 2 i + side) of the file becomes row (head, side · half + i). A bias has rows of one value. */
function deinterleave<T extends Rows>(values: T, rows: number, heads: number): T {
  const width = values.length / rows;
  const headDim = rows / heads;
  const half = headDim / 2;
  const out = emptyLike(values);
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / headDim);
    const within = row % headDim;
    const target = head * headDim + (within % 2) * half + (within >> 1);
    out.set(values.subarray(row * width, (row + 1) * width), target * width);
  }
  return out;
}

/** [3, heads, ...] to [heads, 3, ...]. */
function fuse<T extends Rows>(values: T, heads: number): T {
  const size = values.length / (3 * heads);
  const out = emptyLike(values);
  for (let part = 0; part < 3; part++) {
    for (let head = 0; head < heads; head++) {
      const from = (part * heads + head) * size;
      out.set(values.subarray(from, from + size), (head * 3 + part) * size);
    }
  }
  return out;
}
