// A sweep of the toy learner and a `regatta serve` over it, for the tests of the live page and its pictures.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const REGATTA = process.env.REPORT_REGATTA;

/** A root of its own; `seconds` is how long an epoch takes at least. */
export function home(seconds) {
  const folder = mkdtempSync(join(tmpdir(), 'regatta-live-'));
  const env = {
    ...process.env,
    REGATTA_ROOT: join(folder, 'runs'),
    REGATTA_WORKER: process.env.REPORT_WORKER,
    REGATTA_SLOTS: '3',
    NO_COLOR: '1',
  };
  writeFileSync(
    join(folder, 'live.yaml'),
    `name: live
objective: { metric: val/jaccard, direction: maximize }
fixed:
  model: { name: toy, steps_per_epoch: 10, step_seconds: ${seconds / 10} }
  epochs: 12
grid:
  optimizer.lr: [3e-2, 1e-1, 3e-1]
  batch_size: [4, 8]
resources: { time: "00:10:00", cpus: 1, mem: 500M }
`,
  );
  const run = (...words) => {
    const done = spawnSync(REGATTA, words, { env, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`regatta ${words.join(' ')}: ${done.stderr}`);
    return done.stdout;
  };
  const children = new Set();
  return {
    run,
    json: (...words) => JSON.parse(run(...words, '--json')),
    submit: () => run('submit', join(folder, 'live.yaml'), '--scheduler', 'local', '--quiet'),
    /** Starts `regatta serve`; resolves with what it printed. */
    serve: (...words) =>
      new Promise((resolve, reject) => {
        const child = spawn(REGATTA, ['serve', 'live', '--json', '--every', '1s', ...words], { env });
        children.add(child);
        let [out, err] = ['', ''];
        child.stderr.on('data', (text) => (err += text));
        child.stdout.on('data', (text) => {
          out += text;
          try {
            resolve({ ...JSON.parse(out), child });
          } catch {
            // More of it follows.
          }
        });
        child.on('exit', (code) => {
          children.delete(child);
          reject(new Error(`regatta serve ended with ${code}: ${out}${err}`));
        });
      }),
    end: () => {
      children.forEach((child) => child.kill());
      spawnSync(REGATTA, ['cancel', 'live'], { env });
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/** Ends a `regatta serve`, and waits until it has. */
export const ended = ({ child }) =>
  new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.on('exit', resolve);
    child.kill('SIGINT');
  });
