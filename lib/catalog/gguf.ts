import { basename } from "node:path";
import { DomainError } from "../errors.ts";
import { ByteReader, type ByteSource, openByteSource } from "./byte_reader.ts";
import { GGML_TYPES } from "./ggml_types.ts";
import { describeModel, type GgufHeader, type GgufMetadata, isWantedNumber, isWantedText } from "./gguf_header.ts";

/** Bounds on what a header may ask for. Real ones stay below a tenth of each. */
const HEADER_BYTES_MAX = 256 * 1024 * 1024;
const METADATA_MAX = 10_000;
const TENSORS_MAX = 100_000;
const KEY_BYTES_MAX = 1_024;
const TEXT_BYTES_MAX = 1024 * 1024;
/** ggml's `GGML_MAX_NAME` with its closing zero. */
const TENSOR_NAME_BYTES_MAX = 63;
const DIMENSIONS_MAX = 4;

/** Bytes of GGUF's metadata types by number; the two that vary are null. */
const VALUE_BYTES: readonly (number | null)[] = [1, 1, 2, 2, 4, 4, 4, 1, null, null, 8, 8, 8];
const UINT32 = 4;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** Unsigned and signed whole numbers: uint8, int8, uint16, int16, uint32, int32, uint64, int64. */
const WHOLE_NUMBERS = new Set([0, 1, 2, 3, 4, 5, 10, 11]);

/**
 * Reads the header of a GGUF file (v2 or v3, little endian) and checks that all it points at lies inside the file, so
 * that native code never opens a truncated or hostile one. Work and memory are bounded whatever the bytes say: arrays
 * are passed over, not kept. See ggml's docs/gguf.md.
 *
 * @throws {DomainError} `invalid_model_file` with what is wrong; `model_not_found` when there is no file at `path`.
 */
export async function readGgufFile(path: string): Promise<GgufHeader> {
  let file: Deno.FsFile | null = null;
  try {
    file = await Deno.open(path);
    const { size, isFile } = await file.stat();
    if (!isFile) throw invalid("it is not a file");
    return await readGguf(openByteSource(file, size));
  } catch (error) {
    throw explain(error, path);
  } finally {
    file?.close();
  }
}

function explain(error: unknown, path: string): DomainError {
  const file = basename(path);
  if (error instanceof Deno.errors.NotFound) {
    return new DomainError("model_not_found", `Cannot read model file "${file}": there is none at ${path}`);
  }
  const reason = error instanceof DomainError ? error.message : error instanceof Error ? error.message : String(error);
  return new DomainError("invalid_model_file", `Cannot read model file "${file}": ${reason}`, { cause: error });
}

/**
 * {@linkcode readGgufFile} over any bytes.
 *
 * @throws {DomainError} `invalid_model_file`; its message is the second half of a sentence.
 */
export async function readGguf(source: ByteSource): Promise<GgufHeader> {
  const reader = new ByteReader(source, { limitBytes: HEADER_BYTES_MAX });
  const { tensors, entries } = await readPreamble(reader);
  const metadata = await readMetadata(reader, entries);
  refuseForeignKinds(metadata);
  const parameters = await readTensors(reader, {
    count: tensors,
    alignment: readAlignment(metadata),
    sizeBytes: source.sizeBytes,
  });
  return describeModel(metadata, parameters);
}

async function readPreamble(reader: ByteReader): Promise<{ tensors: number; entries: number }> {
  if (reader.remainingBytes < 4) throw invalid("it is not a GGUF file");
  await reader.fill(4);
  if (reader.readUint32() !== 0x46554747) throw invalid("it is not a GGUF file"); // "GGUF"
  await reader.fill(20);
  const version = reader.readUint32();
  if (version === 0x2000000 || version === 0x3000000) throw invalid("it is big endian; get a little-endian one");
  if (version !== 2 && version !== 3) throw invalid(`its GGUF version is ${version}; 2 and 3 can be read`);
  const tensors = reader.readUint64();
  const entries = reader.readUint64();
  if (tensors === 0) throw invalid("it holds no weights");
  // No tensor takes less than 32 bytes of header (a name's length, one dimension, type, offset), no entry less than 13.
  if (tensors === null || tensors > TENSORS_MAX || tensors * 32 > reader.remainingBytes) {
    throw invalid(`it claims ${tensors ?? "too many"} tensors, more than can be in it: it is cut off or damaged`);
  }
  if (entries === null || entries > METADATA_MAX || entries * 13 > reader.remainingBytes) {
    throw invalid(
      `it claims ${entries ?? "too many"} metadata entries, more than can be in it: it is cut off or damaged`,
    );
  }
  return { tensors, entries };
}

async function readMetadata(reader: ByteReader, count: number): Promise<GgufMetadata> {
  const metadata: GgufMetadata = new Map();
  const seen = new Set<string>();
  for (let index = 0; index < count; index++) {
    const key = await readText(reader, { what: "a metadata key", bytesMax: KEY_BYTES_MAX });
    if (key === "") throw invalid("it has a metadata key without a name");
    if (seen.has(key)) throw invalid(`it has the metadata key "${key}" twice`);
    seen.add(key);
    await reader.fill(4);
    const value = await readValue(reader, { key, type: reader.readUint32() });
    if (value !== null) metadata.set(key, value);
  }
  return metadata;
}

/** The value when it is a wanted text or whole number, else null. The reader stands behind it in any case. */
async function readValue(
  reader: ByteReader,
  { key, type }: { key: string; type: number },
): Promise<string | number | null> {
  if (type === ARRAY) return await skipArray(reader, key);
  if (type === STRING && isWantedText(key)) return await readText(reader, { what: key, bytesMax: TEXT_BYTES_MAX });
  if (type === STRING) return await skipText(reader, key);
  const bytes = VALUE_BYTES[type];
  if (bytes === undefined || bytes === null) throw invalid(`${key} has the unknown type ${type}`);
  await reader.fill(bytes);
  const view = new DataView(reader.readBytes(bytes).slice().buffer);
  if (type === BOOL && view.getUint8(0) > 1) throw invalid(`${key} is neither true nor false`);
  if (!isWantedNumber(key) || !WHOLE_NUMBERS.has(type)) return null;
  if (key === "general.alignment" && type !== UINT32) throw invalid("its alignment is not a 32-bit number");
  return toWholeNumber(view, type);
}

function toWholeNumber(view: DataView, type: number): number {
  switch (type) {
    case 0:
      return view.getUint8(0);
    case 1:
      return view.getInt8(0);
    case 2:
      return view.getUint16(0, true);
    case 3:
      return view.getInt16(0, true);
    case 4:
      return view.getUint32(0, true);
    case 5:
      return view.getInt32(0, true);
    case 10:
      return Number(view.getBigUint64(0, true));
    default:
      return Number(view.getBigInt64(0, true));
  }
}

async function skipArray(reader: ByteReader, key: string): Promise<null> {
  await reader.fill(12);
  const type = reader.readUint32();
  const count = reader.readUint64();
  if (type === ARRAY) throw invalid(`${key} is an array of arrays`);
  const bytes = VALUE_BYTES[type];
  if (bytes === undefined) throw invalid(`${key} is an array of the unknown type ${type}`);
  const elementBytesMin = bytes ?? 8;
  if (count === null || count > reader.remainingBytes / elementBytesMin) {
    throw invalid(`${key} claims ${count ?? "too many"} elements, more than can be in it: it is cut off or damaged`);
  }
  if (bytes !== null) {
    reader.skip(count * bytes);
    return null;
  }
  // A vocabulary has hundreds of thousands of texts: waiting only where the window ends makes this twenty times faster.
  for (let index = 0; index < count; index++) {
    if (!reader.holds(8)) await reader.fill(8);
    const length = reader.readUint64();
    if (length === null || length > reader.remainingBytes) throw tooLong(key, length);
    reader.skip(length);
  }
  return null;
}

async function skipText(reader: ByteReader, key: string): Promise<null> {
  await reader.fill(8);
  const length = reader.readUint64();
  if (length === null || length > reader.remainingBytes) throw tooLong(key, length);
  reader.skip(length);
  return null;
}

async function readText(
  reader: ByteReader,
  { what, bytesMax }: { what: string; bytesMax: number },
): Promise<string> {
  await reader.fill(8);
  const length = reader.readUint64();
  if (length === null || length > reader.remainingBytes) throw tooLong(what, length);
  if (length > bytesMax) throw invalid(`${what} is ${length} bytes long; ${bytesMax} are allowed`);
  await reader.fill(length);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(reader.readBytes(length));
  } catch {
    throw invalid(`${what} is not valid UTF-8`);
  }
}

function refuseForeignKinds(metadata: GgufMetadata): void {
  const parts = metadata.get("split.count");
  if (typeof parts === "number" && parts > 1) {
    throw invalid(`it is one of ${parts} parts of a split model; join them with llama-gguf-split --merge`);
  }
  const type = metadata.get("general.type");
  if (type !== undefined && type !== "model") throw invalid(`it is a "${type}", not a model that answers by itself`);
}

/** Tensors begin, and each of them lies, at multiples of this many bytes. */
function readAlignment(metadata: GgufMetadata): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || alignment < 1 || !Number.isInteger(Math.log2(alignment))) {
    throw invalid(`its alignment is ${alignment}, which is not a power of two`);
  }
  return alignment;
}

interface TensorPlace {
  name: string;
  offset: number;
  bytes: number;
}

/** Passes the list of tensors, checks that each lies inside the file, and counts their elements. */
async function readTensors(
  reader: ByteReader,
  { count, alignment, sizeBytes }: { count: number; alignment: number; sizeBytes: number },
): Promise<number> {
  const names = new Set<string>();
  let parameters = 0;
  let last: TensorPlace = { name: "", offset: 0, bytes: 0 };
  for (let index = 0; index < count; index++) {
    const name = await readText(reader, { what: "a tensor's name", bytesMax: TENSOR_NAME_BYTES_MAX });
    if (names.has(name)) throw invalid(`it has the tensor "${name}" twice`);
    names.add(name);
    const { elements, bytes } = await readTensorShape(reader, name);
    const offset = reader.readUint64();
    if (offset === null || offset % alignment !== 0) throw invalid(`tensor "${name}" does not lie at its alignment`);
    if (offset + bytes >= last.offset + last.bytes) last = { name, offset, bytes };
    parameters += elements;
  }
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  const end = dataStart + last.offset + last.bytes;
  if (end > sizeBytes) {
    throw invalid(
      `tensor "${last.name}" ends at byte ${end} and the file at ${sizeBytes}: it is cut off or damaged`,
    );
  }
  return parameters;
}

/** Reads dimensions and type of a tensor and leaves the reader at its offset, already filled. */
async function readTensorShape(reader: ByteReader, name: string): Promise<{ elements: number; bytes: number }> {
  await reader.fill(4);
  const dimensions = reader.readUint32();
  if (dimensions < 1 || dimensions > DIMENSIONS_MAX) throw invalid(`tensor "${name}" has ${dimensions} dimensions`);
  await reader.fill(dimensions * 8 + 12);
  let elements = 1;
  let rowElements = 0;
  for (let index = 0; index < dimensions; index++) {
    const length = reader.readUint64();
    // Zero would make native code divide by it; beyond 2^53 elements nothing fits into a file.
    if (length === null || length === 0 || length > Number.MAX_SAFE_INTEGER / elements) {
      throw invalid(`tensor "${name}" has an impossible shape`);
    }
    if (index === 0) rowElements = length;
    elements *= length;
  }
  const typeNumber = reader.readUint32();
  const type = GGML_TYPES.get(typeNumber);
  if (type === undefined) throw invalid(`tensor "${name}" has the unknown type ${typeNumber}`);
  if (rowElements % type.blockElements !== 0) {
    throw invalid(`tensor "${name}" has rows of ${rowElements}, which ${type.name} cannot hold`);
  }
  return { elements, bytes: (elements / type.blockElements) * type.blockBytes };
}

function tooLong(what: string, length: number | null): DomainError {
  return invalid(`${what} claims ${length ?? "more than 2^53"} bytes, more than are left: it is cut off or damaged`);
}

function invalid(reason: string): DomainError {
  return new DomainError("invalid_model_file", reason);
}
