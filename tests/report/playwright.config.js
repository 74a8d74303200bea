// Debian's Chromium, by its path: no browser is downloaded.
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: '.',
  workers: 1,
  timeout: 60_000,
  reporter: 'line',
  outputDir: 'results',
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 900 },
    launchOptions: { executablePath: process.env.REPORT_CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] },
  },
});
