// @vitest-environment happy-dom
import { behaves } from "./cases.js";
import { vueQuery } from "./vue-query-binding.js";

behaves(vueQuery);
