// @vitest-environment happy-dom
import { behaves } from "./cases.js";
import { reactQuery } from "./react-query-binding.js";

behaves(reactQuery);
