// `npm run build`: installs what is needed and builds every package and app.
import { prepare, runScript } from './src/prepare.mjs';

await runScript(() => prepare());
