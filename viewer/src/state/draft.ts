/** A state as its own store sees it: the same values, replaceable one level deep. */
export type Draft<State> = { -readonly [Key in keyof State]: State[Key] };
