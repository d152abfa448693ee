#!/usr/bin/env node
import { runProcess } from './process.ts';
import { work } from './work.ts';

await runProcess(work);
