// Writes a folder as `regatta predict` does, with small overlays: node masks.js DIR TRIAL.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

const [folder, trial] = process.argv.slice(2);
const SIDE = 192;

const chunk = (name, data) => {
  const body = Buffer.concat([Buffer.from(name), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
};

/** A drawn slice: grey, with blobs that are found, missed or invented. */
function overlay(of) {
  const rows = [];
  for (let y = 0; y < SIDE; y += 1) {
    const row = Buffer.alloc(1 + 3 * SIDE);
    for (let x = 0; x < SIDE; x += 1) {
      const grey = 120 + 30 * Math.sin(x / 7 + of) * Math.cos(y / 9) + 12 * Math.sin((x * 31 + y * 17) % 13);
      const blob = (cx, cy, r) => (x - cx) ** 2 + (y - cy) ** 2 < r * r;
      let colour = [grey, grey, grey];
      const mix = (other) => {
        colour = colour.map((v, i) => 0.5 * v + 0.5 * other[i]);
      };
      if (blob(60, 70 + 3 * of, 30)) mix([0, 114, 178]);
      else if (blob(130, 60, 8 + 2 * of)) mix([204, 121, 167]);
      else if (blob(120, 140, 18 - of)) mix([230, 159, 0]);
      colour.forEach((v, i) => {
        row[1 + 3 * x + i] = Math.max(0, Math.min(255, v));
      });
    }
    rows.push(row);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(SIDE, 0);
  head.writeUInt32BE(SIDE, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

mkdirSync(join(folder, 'overlay'), { recursive: true });
const images = [];
for (let at = 0; at < 8; at += 1) {
  const name = `slice_${String(at).padStart(3, '0')}`;
  writeFileSync(join(folder, 'overlay', `${name}.png`), overlay(at));
  images.push({
    name,
    file: `${name}.png`,
    width: SIDE,
    height: SIDE,
    coverage: 0.06 + at / 1000,
    jaccard: 0.92 - 0.03 * at,
    dice: 0.95 - 0.02 * at,
  });
}
writeFileSync(
  join(folder, 'metrics.json'),
  JSON.stringify({
    schema_version: 1,
    complete: true,
    options: { tta: 'none', images: 'val' },
    members: [{ sweep: 'lr-batch', trial, epoch: 27 }],
    images,
    metrics: { 'val/jaccard': 0.8132, 'val/dice': 0.897 },
    warnings: [],
  }),
);
