/** Things by what they have in common, each in the order in which it came, and so are the groups. */
export function grouped<Key, One>(all: readonly One[], keyOf: (one: One) => Key): ReadonlyMap<Key, readonly One[]> {
  const groups = new Map<Key, One[]>();
  for (const one of all) {
    const key = keyOf(one);
    const group = groups.get(key);
    // Not a new list each time: twenty thousand images of one size are one group.
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return groups;
}
