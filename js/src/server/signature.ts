/**
 * How a call of `tidings serve` is signed: `Tidings-Signature: t=<seconds>,v1=<hex>`, where `v1` is HMAC-SHA256, keyed
 * by the shared secret, over `t`, a full stop, and the body's bytes (`spec/vectors/webhook_signatures.json`).
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export const SIGNATURE_HEADER = "tidings-signature";
const REPLAY_SECONDS = 300;

/** Whether who knows one of the secrets signed this body, at most five minutes ago. */
export function verifySignature(
  secrets: string | readonly string[],
  body: Uint8Array | string,
  signature: string | null | undefined,
  nowSeconds: number = Date.now() / 1_000,
): boolean {
  const pairs = (signature ?? "").split(",").map((text) => text.split("=", 2));
  const moments = pairs.filter(([name]) => name === "t").map(([, value]) => value ?? "");
  const [moment = ""] = moments;
  if (moments.length !== 1 || !/^[0-9]{1,12}$/.test(moment)) return false;
  if (Math.abs(nowSeconds - Number(moment)) > REPLAY_SECONDS) return false;
  const shown = pairs
    .filter(([name]) => name === "v1")
    .map(([, value]) => Buffer.from(value ?? ""));
  return [secrets].flat().some((secret) => {
    const digest = createHmac("sha256", secret).update(`${moment}.`).update(body).digest("hex");
    const expected = Buffer.from(digest);
    return shown.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
}
