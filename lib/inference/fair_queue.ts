/** What {@linkcode FairQueue} needs to know of an item. */
export interface Owned {
  /** Whose turn it uses up. */
  readonly owner: string;
}

/**
 * A queue that takes owners in turn and, within an owner, the oldest item first, so that one owner's hundred
 * requests delay another's single one by one place only.
 */
export class FairQueue<T extends Owned> {
  /** Owners in the order of their turns; each list is in order of arrival and never empty. */
  readonly #byOwner = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an item at the end of its owner's list. Returns false, and changes nothing, when `sizeMax` items wait already. */
  push(item: T, sizeMax: number): boolean {
    if (this.#size >= sizeMax) return false;
    const items = this.#byOwner.get(item.owner);
    if (items === undefined) this.#byOwner.set(item.owner, [item]);
    else items.push(item);
    this.#size++;
    return true;
  }

  /** Takes the next item, or returns null when there is none. Its owner goes to the end of the turns. */
  shift(): T | null {
    const turn = this.#byOwner.entries().next();
    if (turn.done) return null;
    const [owner, items] = turn.value;
    const item = items.shift();
    this.#byOwner.delete(owner);
    if (items.length > 0) this.#byOwner.set(owner, items);
    this.#size--;
    return item ?? null;
  }

  /** Every item of an owner, oldest first. */
  itemsOf(owner: string): readonly T[] {
    return this.#byOwner.get(owner) ?? [];
  }

  /** Takes one item out, wherever it stands. Returns whether it was there. */
  remove(item: T): boolean {
    const items = this.#byOwner.get(item.owner);
    const index = items?.indexOf(item) ?? -1;
    if (items === undefined || index < 0) return false;
    items.splice(index, 1);
    if (items.length === 0) this.#byOwner.delete(item.owner);
    this.#size--;
    return true;
  }
}
