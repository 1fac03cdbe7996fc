import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const path = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Why there is no Chromium; undefined where there is one. In CI there must be. */
export const chromiumMissing: string | undefined =
  existsSync(path) || process.env.CI === 'true'
    ? undefined
    : `${path} is not here (Debian: apt install chromium; CHROMIUM names another one)`;

/** Starts Chromium without a window, in a fresh profile, and quiet on the network. */
export const startChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: path,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
