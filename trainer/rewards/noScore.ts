/** Why there is no score; completes "reward x: …". */
export class NoScore {
  constructor(readonly reason: string) {}
}
