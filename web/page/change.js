/** @typedef {{ from: number, to: number, insert: string }} Change */

/**
 * The smallest single change that turns one text into another, so that an editor keeps its cursor and its scroll
 * position, and undoes only that change.
 *
 * @param {string} before
 * @param {string} after
 * @returns {Change}
 */
export function smallestChange(before, after) {
  const shorter = Math.min(before.length, after.length);
  let from = 0;
  while (from < shorter && before[from] === after[from]) from += 1;
  let same = 0;
  while (same < shorter - from && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
  return { from, to: before.length - same, insert: after.slice(from, after.length - same) };
}
