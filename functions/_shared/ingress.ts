import { BlockList, isIP, isIPv6 } from "node:net";
import { isLoopback, type Settings } from "../../lib/env.ts";

/** How requests reach Rookery. */
export interface Ingress {
  /** The address that people type, such as `https://rookery.example.org`, or null when it is only this machine's. */
  publicUrl: string | null;
  /** Addresses and networks (CIDR) of proxies whose headers are believed. */
  trustedProxies: readonly string[];
  /** Whether Rookery itself speaks TLS. */
  tls: boolean;
  /** Whether the operator allows accounts over plain http beyond this machine. */
  allowHttp: boolean;
  /** Whether who sits at this machine needs no account. */
  allowLocal: boolean;
}

/** A Rookery that only its own machine reaches. */
export const LOCAL_INGRESS: Ingress = {
  publicUrl: null,
  trustedProxies: [],
  tls: false,
  allowHttp: false,
  allowLocal: true,
};

/**
 * How requests reach a Rookery with these settings. Who sits at its machine needs no account unless the operator says
 * otherwise, or lets other machines in: a proxy that says nothing of whom it speaks for would make everybody local.
 */
export function toIngress(settings: Settings): Ingress {
  const { host, publicUrl, trustedProxies, tlsCert, allowHttp, localAccess } = settings;
  const isPublic = publicUrl !== null && !isLoopback(new URL(publicUrl).hostname.replace(/^\[|\]$/g, ""));
  const isAlone = isLoopback(host) && !isPublic && trustedProxies.length === 0;
  return { publicUrl, trustedProxies, tls: tlsCert !== null, allowHttp, allowLocal: localAccess ?? isAlone };
}

/** Where a request comes from, and by which way. */
export interface Visitor {
  /** The client's own address, behind trusted proxies too; null when the server did not say. */
  address: string | null;
  /** Whether it is who sits at this machine, through no proxy, where the operator lets them in without an account. */
  isLocal: boolean;
  /** Whether it came by TLS. */
  isSecure: boolean;
  /** Whether what lets into accounts may pass: nobody on the way can read it, or the operator accepts that somebody may. */
  isPrivate: boolean;
  /** The scheme, host and port by which the client knows Rookery. */
  origin: string;
}

/** What proxies add; who sends one of them is not, or does not want to be, a program at this machine. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/** Makes what finds out about visitors. Of a proxy that is not trusted no header counts. */
export function createVisitorReader(
  ingress: Ingress,
): (request: Request, peer: Deno.Addr | undefined) => Visitor {
  const trusted = new BlockList();
  for (const network of ingress.trustedProxies) addNetwork(trusted, network);
  const publicOrigin = ingress.publicUrl === null ? null : new URL(ingress.publicUrl);

  return (request, peer) => {
    const { headers } = request;
    const peerAddress = peer !== undefined && peer.transport === "tcp" ? tidyAddress(peer.hostname) : null;
    const isProxied = peerAddress !== null && contains(trusted, peerAddress);
    const host = headers.get("host") ?? "";
    const isPublic = publicOrigin !== null && (isProxied || host.toLowerCase() === publicOrigin.host);
    const scheme = isProxied ? readForwardedScheme(headers) ?? publicOrigin?.protocol : null;
    const isSecure = ingress.tls || (scheme ?? "http:") === "https:";
    const address = isProxied ? findClient(headers, trusted) ?? peerAddress : peerAddress;
    const isDirect = isHere(peer) && !isProxied && !PROXY_HEADERS.some((name) => headers.has(name));
    const isNear = isDirect || (isProxied && address !== null && isLoopback(address));
    return {
      address,
      isLocal: isDirect && ingress.allowLocal,
      isSecure,
      isPrivate: isSecure || isNear || ingress.allowHttp,
      origin: isPublic ? publicOrigin.origin : `${isSecure ? "https" : "http"}://${host.toLowerCase()}`,
    };
  };
}

function isHere(peer: Deno.Addr | undefined): boolean {
  if (peer === undefined) return false;
  return peer.transport !== "tcp" || isLoopback(peer.hostname);
}

/** The address that is nearest to Rookery and no trusted proxy's own: what stands before it anybody can have written. */
function findClient(headers: Headers, trusted: BlockList): string | null {
  const hops = (headers.get("x-forwarded-for") ?? "").split(",").map((hop) => tidyAddress(hop.trim()));
  const client = hops.findLast((hop) => !contains(trusted, hop));
  return client === undefined || client === "" ? null : client;
}

/** What the nearest proxy says of the connection that it got. */
function readForwardedScheme(headers: Headers): string | null {
  const scheme = headers.get("x-forwarded-proto")?.split(",").at(-1)?.trim().toLowerCase();
  return scheme === "https" || scheme === "http" ? `${scheme}:` : null;
}

/** An address without brackets, zone and port, and an IPv4 one that is written as IPv6 as what it is. */
function tidyAddress(address: string): string {
  const bare = /^\[([^\]]+)\]/.exec(address)?.[1] ?? address.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");
  return bare.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "").toLowerCase();
}

function addNetwork(list: BlockList, network: string): void {
  const [address = "", bits] = network.split("/");
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  if (bits === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(bits), family);
}

function contains(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
