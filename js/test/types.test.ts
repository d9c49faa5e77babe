import { expectTypeOf, test } from "vitest";
import type { EventOf, Live, TidingsEvent } from "../src/index.js";

interface Gift {
  id: string;
  name: string;
}
declare module "../src/core/types.js" {
  interface Register {
    events: { "typed-list": { ADDED: Gift; DELETED: { id: string } } };
  }
}

test("a registered topic's events are told apart by their names", () => {
  const check = (event: EventOf<`typed-list:${string}`>): void => {
    if (event.event === "ADDED") expectTypeOf(event.data.payload).toEqualTypeOf<Gift>();
    else expectTypeOf(event.data.payload).toEqualTypeOf<{ id: string }>();
  };
  expectTypeOf(check).parameter(0).not.toBeAny();
});

test("any other has an unknown payload, never any", () => {
  expectTypeOf<EventOf<"other:1">>().toEqualTypeOf<TidingsEvent>();
  expectTypeOf<EventOf<"other:1">["data"]["payload"]>().toBeUnknown();
  expectTypeOf<EventOf<string>["data"]["payload"]>().toBeUnknown();
});

test("the handler's event follows from the topic that is written", () => {
  const check = (live: Live): void => {
    live.subscribe("typed-list:1", (event) => {
      expectTypeOf(event.event).toEqualTypeOf<"ADDED" | "DELETED">();
    });
    live.subscribe(["a:1", "b:2"], (event) => {
      expectTypeOf(event).toEqualTypeOf<TidingsEvent>();
    });
  };
  expectTypeOf(check).returns.toBeVoid();
});
