/** Presence where several tabs share a connection: one member for the others, and the whole company for each tab. */

import { expect, test } from "vitest";
import type { PresenceFrame } from "../src/core/frames.js";
import type { RawFrame } from "../src/core/machine/values.js";
import { Company } from "../src/core/tabs/company.js";

const TOPIC = "gift-list:1";
const ENTER: PresenceFrame = { type: "presence", topic: TOPIC };
const LEAVE: PresenceFrame = { ...ENTER, leave: true };
const ben = { session: "s-2", user: "ben", state: {} };
const chidi = { session: "s-3", user: "chidi", state: {} };

function company(): { company: Company; sent: PresenceFrame[]; told: [RawFrame, string?][] } {
  const sent: PresenceFrame[] = [];
  const told: [RawFrame, string?][] = [];
  const made = new Company({
    send: (frame) => sent.push(frame),
    tell: (frame, tab) => told.push(tab === undefined ? [frame] : [frame, tab]),
  });
  made.hear({ type: "welcome", session: "s-1" });
  told.splice(0);
  return { company: made, sent, told };
}

test("it comes with the first tab and goes with the last", () => {
  const { company: made, sent } = company();
  made.wish("a", ENTER);
  made.wish("b", ENTER);
  expect(sent).toEqual([ENTER]);
  made.wish("a", LEAVE);
  made.wish("a", LEAVE);
  expect(sent).toEqual([ENTER]);
  made.leave("b");
  expect(sent).toEqual([ENTER, LEAVE]);
  made.leave("b");
  expect(sent).toHaveLength(2);
});

test("a tab that comes late is told who is there, and the others are not told again", () => {
  const { company: made, told } = company();
  made.wish("a", ENTER);
  made.hear({ type: "members", topic: TOPIC, members: [ben], count: 1, complete: true });
  made.hear({ type: "joined", topic: TOPIC, members: [chidi] });
  made.hear({ type: "left", topic: TOPIC, sessions: ["s-2"] });
  expect(told).toHaveLength(3);
  made.wish("b", ENTER);
  const members = { type: "members", topic: TOPIC, members: [chidi], count: 1, complete: true };
  expect(told.at(-1)).toEqual([members, "b"]);
});

test("what a tab says of itself goes out; a renewal of the credentials changes nothing", () => {
  const { company: made, sent, told } = company();
  made.wish("a", ENTER);
  made.wish("b", { ...ENTER, state: { typing: true } });
  expect(sent.at(-1)).toEqual({ ...ENTER, state: { typing: true } });
  made.hear({ type: "welcome", session: "s-1" });
  expect(told).toEqual([]);
  made.hear({ type: "welcome", session: "s-9" });
  expect(told).toEqual([[{ type: "welcome", session: "s-9" }]]);
  // A new connection knows nobody yet: each tab enters anew, and the first is told to the server.
  made.wish("b", ENTER);
  expect(sent).toHaveLength(3);
});

test("frames that nobody is present for stay here", () => {
  const { company: made, told } = company();
  made.hear({ type: "subscribed", topic: "system", topics: {}, id: 1 });
  made.hear({ type: "joined", topic: TOPIC, members: [ben] });
  made.hear({ type: "pong", topic: "system" });
  expect(told).toEqual([]);
});
