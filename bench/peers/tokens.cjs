// The check of tokens that the servers on Node share: HS256, with an end.
const { createHmac, timingSafeEqual } = require('node:crypto');

const SECRET = 'benchmark-secret-of-32-bytes-or-more';

/** Whose token it is; throws for a bad one. */
exports.userOf = (url) => {
  const token = new URL(url, 'http://127.0.0.1').searchParams.get('token');
  const [head, body, signature] = token.split('.');
  const wanted = createHmac('sha256', SECRET).update(`${head}.${body}`).digest();
  if (!timingSafeEqual(wanted, Buffer.from(signature, 'base64url'))) throw new Error('bad signature');
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  if (claims.exp * 1000 < Date.now()) throw new Error('expired');
  return claims.sub;
};
