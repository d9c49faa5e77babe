/** The database: SQLite in a file. One connection, used synchronously: a transaction is one piece of code. */

import Database from 'libsql';
import { settings } from './settings.js';

const db = new Database(settings.database);
// WAL: readers and the writer do not wait for one another.
db.pragma('journal_mode = WAL');
db.pragma('foreign_keys = ON');
db.exec(`
  CREATE TABLE IF NOT EXISTS families (id TEXT PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS members (
    id TEXT PRIMARY KEY, family_id TEXT NOT NULL REFERENCES families, name TEXT NOT NULL, role TEXT NOT NULL,
    hue INTEGER NOT NULL, position INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS gift_lists (
    id TEXT PRIMARY KEY, family_id TEXT NOT NULL REFERENCES families, owner_id TEXT NOT NULL REFERENCES members,
    title TEXT NOT NULL, due_on TEXT NOT NULL
  );
  -- Two revisions, because two audiences: the person the list is for sees "revision", and would learn from a single
  -- one that somebody has claimed the gift. A removed gift stays, so that a removal can be undone with its claim.
  CREATE TABLE IF NOT EXISTS gifts (
    id TEXT PRIMARY KEY, list_id TEXT NOT NULL REFERENCES gift_lists, name TEXT NOT NULL, note TEXT NOT NULL,
    price_cents INTEGER, added_by TEXT NOT NULL REFERENCES members, added_at TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1, removed INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT REFERENCES members, claim_revision INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX IF NOT EXISTS gifts_of_list ON gifts (list_id);
`);

/**
 * @typedef {{id: string, list_id: string, name: string, note: string, price_cents: number | null, added_by: string,
 *   added_at: string, revision: number, removed: number, claimed_by: string | null, claim_revision: number}} Gift
 * @typedef {{id: string, family_id: string, owner_id: string, title: string, due_on: string}} GiftList
 * @typedef {{id: string, family_id: string, name: string, role: string, hue: number, position: number}} Member
 * @typedef {{id: string, name: string}} Family
 */

/** @typedef {string | number | null} Value */

/**
 * All rows, which a statement that changes may have too (RETURNING).
 * @param {string} sql
 * @param {Value[]} values
 * @returns {any[]}
 */
export const all = (sql, ...values) => db.prepare(sql).all(...values);

/**
 * The first row, if there is one.
 * @param {string} sql
 * @param {Value[]} values
 * @returns {any}
 */
export const get = (sql, ...values) => all(sql, ...values)[0];

/**
 * One transaction: committed when `work` returns, rolled back when it throws.
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
export function transaction(work) {
  // IMMEDIATE: what is read in it cannot be changed by another process before it writes.
  db.exec('BEGIN IMMEDIATE');
  try {
    const done = work();
    db.exec('COMMIT');
    return done;
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
