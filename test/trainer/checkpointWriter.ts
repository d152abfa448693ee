// Run as a child process by checkpoint.test.ts, which kills it in mid-write: writes checkpoint after checkpoint
// and says so on stdout after each.
import { writeCheckpoint } from '../../trainer/checkpoint.node.ts';

const [folder = '', steps = '1', bytes = '1000', limit = '2'] = process.argv.slice(2);

for (let i = 0; i < 10_000; i++) {
  const step = i % Number(steps); // comes back to the same steps, so that folders are replaced too
  const content = new Uint8Array(Number(bytes)).fill(i);
  const written = await writeCheckpoint(
    folder,
    step,
    ['model.safetensors', 'optimizer.safetensors', 'state.json'].map((name) => ({
      name,
      async write(sink) {
        for (let at = 0; at < content.length; at += 4096) await sink.write(content.subarray(at, at + 4096));
      },
    })),
    { saveTotalLimit: Number(limit) },
  );
  process.stdout.write(`${written.sequence}\n`);
}
