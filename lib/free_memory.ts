import process from "node:process";

/** Of the memory that is free, so much may be used; the rest is for the runtime, the page cache and the user. */
export const MEMORY_SHARE = 0.85;

/** What the system tells of memory, in bytes. */
export interface MemoryReadings {
  /** What is built in. */
  totalBytes: number;
  /** What programs can still be given, page caches included. */
  availableBytes: number;
  /** What a container lets its processes have; 0 without a limit. */
  limitBytes: number;
  /** What this process has of it. */
  residentBytes: number;
}

/**
 * Memory that may still be taken, in bytes: what the system calls available, or less where a container's limit says so.
 * What else runs in the same container is not seen, and its page caches do not count, because they are given back.
 */
export function measureFreeMemory(readings: Omit<MemoryReadings, "totalBytes"> = readMemory()): number {
  const { availableBytes, limitBytes, residentBytes } = readings;
  return limitBytes === 0 ? availableBytes : Math.max(0, Math.min(availableBytes, limitBytes - residentBytes));
}

/** Memory of this machine, or of the container that this process is in, in bytes. */
export function measureTotalMemory(
  { totalBytes, limitBytes }: Pick<MemoryReadings, "totalBytes" | "limitBytes"> = readMemory(),
): number {
  return limitBytes === 0 ? totalBytes : Math.min(totalBytes, limitBytes);
}

/** Deno itself asks the control groups: no permission short of all would let this process read their files. */
function readMemory(): MemoryReadings {
  const { total, available } = Deno.systemMemoryInfo();
  return {
    totalBytes: total,
    availableBytes: available,
    limitBytes: process.constrainedMemory(),
    residentBytes: Deno.memoryUsage().rss,
  };
}
