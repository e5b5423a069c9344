import type { Catalog } from "../catalog/catalog.ts";
import type { ModelList } from "./model_list.ts";

/** The models on the disk, to list, fetch and remove them. */
type Library = Pick<Catalog, "list" | "pull" | "remove">;

/** A library after whose changes the list of installed models is looked at, so that they are served, or not any more, at once. */
export function watchLibrary(catalog: Library, installed: Pick<ModelList, "look">): Library {
  async function lookAfter<Result>(work: Promise<Result>): Promise<Result> {
    const result = await work;
    // The work is done, whatever a look comes to; the next one is not far.
    await installed.look().catch(() => {});
    return result;
  }
  return {
    list: () => catalog.list(),
    pull: (name, options) => lookAfter(catalog.pull(name, options)),
    remove: (id) => lookAfter(catalog.remove(id)),
  };
}
