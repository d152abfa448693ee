/** Where other programs' keys for adapters are here. */
export const movedKeys = new Map([
  ['lora_r', 'lora.r'],
  ['lora_rank', 'lora.r'],
  ['lora_target', 'lora.target_modules'],
  ['lora_target_modules', 'lora.target_modules'],
  ['adapter_name_or_path', 'lora.adapter'],
]);

/** TRL's keys that mean nothing here, each with the reason; an error says it instead of naming a near key. */
export const foreignKeys = new Map(
  Object.entries({
    bf16: 'prefgrad computes in float32',
    fp16: 'prefgrad computes in float32',
    tf32: 'prefgrad computes in float32',
    precompute_ref_log_probs: "the reference model's log-probs are always computed once, before training",
    padding_free: 'batches are always packed without padding',
    packing: 'batches are always packed without padding',
    pad_to_multiple_of: 'batches are packed without padding',
    disable_dropout: "the models' dropout is always off",
    logging_dir: 'TensorBoard event files go to output_dir, beside metrics.jsonl',
    use_peft: 'a `lora` section is what asks for adapters',
    use_cpu: 'write device: wasm instead',
    push_to_hub: 'nothing is uploaded',
    dataset_num_proc: 'data is prepared in one process',
    remove_unused_columns: 'columns that training does not need are never read',
  }),
);
