// @vitest-environment happy-dom
import { behaves } from "./cases.js";
import { swr } from "./swr-binding.js";

behaves(swr);
