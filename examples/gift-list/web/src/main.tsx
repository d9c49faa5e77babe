import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App.tsx';
import { resume } from './account.ts';
import './styles/index.css';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
resume();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
