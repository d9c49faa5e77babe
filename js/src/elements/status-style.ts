/** How `<tidings-status>` looks. It takes font and text colour from the page, and its scheme from `color-scheme`. */

export const STYLE = `
:host {
  display: inline-flex;
  max-inline-size: 100%;
  font-size: 0.875rem;
  line-height: 1.25;
  --_good: light-dark(oklch(0.48 0.13 150), oklch(0.8 0.14 150));
  --_warning: light-dark(oklch(0.5 0.12 65), oklch(0.84 0.13 80));
  --_bad: light-dark(oklch(0.5 0.18 27), oklch(0.77 0.14 27));
}
:host([hidden]) { display: none; }
[hidden] { display: none !important; }
.badge {
  display: inline-flex;
  align-items: center;
  gap: 0.5em;
  min-inline-size: 9em; /* reserved: words that come and go push nothing */
  min-block-size: 1.5rem;
}
.shape { flex: none; inline-size: 1em; text-align: center; font-size: 0.75em; }
[data-tone="good"] .shape { color: var(--tidings-good, var(--_good)); }
[data-tone="warning"] .shape { color: var(--tidings-warning, var(--_warning)); }
[data-tone="bad"] .shape { color: var(--tidings-bad, var(--_bad)); }
[data-state="connecting"] .shape,
[data-state="reconnecting"] .shape { animation: breathe 2s ease-in-out infinite; }
@keyframes breathe { 50% { opacity: 0.45; } }
.banner {
  position: fixed;
  z-index: var(--tidings-banner-layer, 1000);
  inset-inline: 0.75rem;
  inset-block-end: max(0.75rem, env(safe-area-inset-bottom));
  margin-inline: auto;
  inline-size: fit-content;
  max-inline-size: min(40rem, calc(100% - 1.5rem));
  box-sizing: border-box;
  display: flex;
  align-items: center;
  gap: 0.75em;
  padding: 0.625rem 1rem;
  border: 1px solid light-dark(oklch(0.85 0.01 80), oklch(0.4 0.01 80));
  border-radius: 0.75rem;
  background: light-dark(oklch(0.99 0.003 80), oklch(0.25 0.008 80));
  color: light-dark(oklch(0.3 0.01 80), oklch(0.92 0.008 80));
  box-shadow: 0 4px 16px oklch(0 0 0 / 0.18);
  animation: rise 0.2s ease-out;
}
@keyframes rise { from { opacity: 0; transform: translateY(0.5rem); } }
button {
  flex: none;
  min-block-size: 1.5rem; /* 24 px at least */
  padding: 0 0.75em;
  border: 1px solid currentColor;
  border-radius: 999px;
  background: transparent;
  color: inherit;
  font: inherit;
  white-space: nowrap;
  cursor: pointer;
}
button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
.announcement {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
@media (prefers-reduced-motion: reduce) {
  .shape, .banner { animation: none !important; }
}
@media print { .banner { display: none; } }
`;
