import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // One file of script and one of style: the app is small, and the server needs no other setting.
  build: { target: 'es2022' },
  // `npm run dev` beside a running server: the API and the WebSocket go there.
  server: {
    proxy: {
      '/api': 'http://127.0.0.1:8000',
      '/realtime': { target: 'http://127.0.0.1:8000', ws: true },
    },
  },
});
