/** The families that the demo starts with. The days are counted from the start, so none is ever past. */

import { createHash } from 'node:crypto';
import { all, get, transaction } from './database.js';

const FAMILIES = { harper: 'The Harper family', okoye: 'The Okoye family' };

// family, id, name, who they are, hue
/** @type {[string, string, string, string, number][]} */
const MEMBERS = [
  ['harper', 'ana', 'Ana', 'Mum', 40],
  ['harper', 'ben', 'Ben', 'Dad', 250],
  ['harper', 'rose', 'Rose', 'Grandmother', 340],
  ['harper', 'leo', 'Leo', 'Nearly ten', 130],
  ['harper', 'mia', 'Mia', 'Six and a half', 85],
  ['okoye', 'ada', 'Ada', 'Mum', 300],
  ['okoye', 'chidi', 'Chidi', 'Dad', 200],
  ['okoye', 'tobi', 'Tobi', 'Thirteen', 60],
];

// family, id, for whom, title, days until then
/** @type {[string, string, string, string, number][]} */
const LISTS = [
  ['harper', 'leo-ten', 'leo', 'Leo turns ten', 12],
  ['harper', 'ana-kitchen', 'ana', 'A kitchen for Ana', 26],
  ['harper', 'mia-seven', 'mia', 'Mia turns seven', 41],
  ['harper', 'rose-seventy', 'rose', 'Rose turns seventy', 68],
  ['harper', 'ben-wishes', 'ben', 'Forty-two for Ben', 97],
  ['okoye', 'tobi-music', 'tobi', 'A music room for Tobi', 19],
  ['okoye', 'ada-garden', 'ada', 'A garden for Ada', 54],
];

// list, added by, name, note, price, claimed by
/** @type {[string, string, string, string, string, string | null][]} */
const GIFTS = [
  [
    'leo-ten',
    'leo',
    'Roller skates, size 36',
    'The ones with green wheels, please',
    '64.90',
    'rose',
  ],
  [
    'leo-ten',
    'leo',
    'A night at the observatory',
    'For two: me and whoever likes Saturn',
    '38.00',
    null,
  ],
  ['leo-ten', 'leo', 'Marble run, big box', '', '49.95', null],
  ['leo-ten', 'leo', 'Pocket knife with a saw', 'With a lesson in the woods', '29.50', 'ben'],
  ['leo-ten', 'leo', 'Book about octopuses', 'Hardcover, the one from the library', '18.99', null],
  ['leo-ten', 'rose', 'Headlamp for reading in bed', 'Warm light', '16.40', null],
  ['ana-kitchen', 'ana', 'Cast-iron pan, 28 cm', 'No coating', '72.00', 'rose'],
  ['ana-kitchen', 'ana', 'Linen tea towels', 'Grey or undyed, four of them', '26.00', null],
  ['ana-kitchen', 'ben', 'Pepper mill', 'Wood, made to last', '44.50', 'leo'],
  ['ana-kitchen', 'ana', 'A pot of thyme', 'For the window sill', '6.50', null],
  ['mia-seven', 'mia', 'Watercolours, 24 pans', '', '31.20', null],
  ['mia-seven', 'mia', 'Magnifying glass', 'For snails', '12.00', 'rose'],
  ['mia-seven', 'mia', 'A tent for indoors', 'With stars on it', '54.00', null],
  ['mia-seven', 'ben', 'Swimming lessons', 'Ten of them, Saturdays at nine', '85.00', null],
  ['rose-seventy', 'rose', 'Secateurs', 'Small hands!', '39.90', null],
  ['rose-seventy', 'rose', 'Concert: the cello suites', 'Two seats on the aisle', '96.00', 'ana'],
  ['rose-seventy', 'rose', 'A photo book of the summer', 'Made by all of you', '35.00', 'leo'],
  ['ben-wishes', 'ben', 'Merino hat', 'Dark blue', '42.00', null],
  ['ben-wishes', 'ben', 'Coffee from far away', '', '14.80', 'mia'],
  ['tobi-music', 'tobi', 'Headphones with a long cable', 'Closed ones', '79.00', null],
  ['tobi-music', 'chidi', 'Metronome', 'The wooden kind that ticks', '34.00', 'chidi'],
  ['tobi-music', 'ada', 'Song book', 'With chords', '22.50', null],
  ['ada-garden', 'ada', 'Rain gauge', '', '17.00', null],
  ['ada-garden', 'tobi', 'Tomato seeds, six kinds', 'No cherry tomatoes', '11.40', 'tobi'],
];

/** Write the families into a database that has none. */
export function seedIfEmpty() {
  transaction(() => {
    if (get('SELECT 1 FROM families')) return;
    for (const [id, name] of Object.entries(FAMILIES))
      all('INSERT INTO families VALUES (?, ?)', id, name);
    for (const [position, [family, id, name, role, hue]] of MEMBERS.entries()) {
      all('INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)', id, family, name, role, hue, position);
    }
    for (const [family, id, owner, title, days] of LISTS) {
      const day = new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
      all('INSERT INTO gift_lists VALUES (?, ?, ?, ?, ?)', id, family, owner, title, day);
    }
    for (const [minute, [list, by, name, note, price, claimedBy]] of GIFTS.entries()) {
      // A minute between two gifts, so that they keep this order.
      const addedAt = new Date(Date.now() - (GIFTS.length - minute) * 60_000).toISOString();
      all(
        'INSERT INTO gifts VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?)',
        idOf(list, name),
        list,
        name,
        note,
        Math.round(Number(price) * 100),
        by,
        addedAt,
        claimedBy,
        claimedBy ? 1 : 0,
      );
    }
  });
}

/** The same id in every fresh database, so that a link or a test can name it.
 * @param {string} list @param {string} name */
const idOf = (list, name) =>
  createHash('sha256').update(`${list}/${name}`).digest('hex').slice(0, 32);
