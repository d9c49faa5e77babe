/** Every refusal has one form: {"error": {"code": ..., "message": ...}}, the message fit to be shown. */

/** A request that is understood and not carried out. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** @param {string} what */
export const notFound = (what) =>
  new Refused(404, 'not_found', `There is no such ${what} any more.`);

/** @type {import('express').ErrorRequestHandler} */
export const answerErrors = (error, _request, response, _next) => {
  const isOurs = error instanceof Refused;
  const status = isOurs ? error.status : (error.status ?? 500);
  if (status >= 500) console.error(error);
  const code = isOurs ? error.code : status === 500 ? 'internal' : 'http';
  const message = status >= 500 ? 'Something went wrong here. Please try again.' : error.message;
  response.status(status).json({ error: { code, message } });
};
