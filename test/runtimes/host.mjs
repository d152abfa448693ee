// @ts-check
// node host.mjs MODULE JOB, or another runtime in Node's place: prints what the module's `run` makes of the job.
import process from 'node:process';

const [module = '', job = ''] = process.argv.slice(2);
const program = /** @type {{ run: (job: unknown) => Promise<unknown> }} */ (await import(module));
console.log(JSON.stringify(await program.run(JSON.parse(job))));
