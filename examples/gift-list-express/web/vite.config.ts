import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const pages = fileURLToPath(new URL('../../gift-list/web', import.meta.url));
const own = fileURLToPath(new URL('src', import.meta.url));

/**
 * The pages are those of the gift list with FastAPI, seen through SWR: a module that stands in this folder takes the
 * place of theirs.
 */
const throughSwr: Plugin = {
  name: 'through-swr',
  enforce: 'pre',
  async resolveId(source, importer, options) {
    const found = await this.resolve(source, importer, { ...options, skipSelf: true });
    const mine = found?.id.replace(`${pages}/src`, own);
    return mine && mine !== found?.id && existsSync(mine) ? mine : found;
  },
};

export default defineConfig({
  root: pages,
  plugins: [throughSwr, react()],
  build: {
    target: 'es2022',
    outDir: fileURLToPath(new URL('dist', import.meta.url)),
    emptyOutDir: true,
  },
});
