const LEAP_DAY = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29";
const DATE = `(?:${LEAP_DAY}|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|` +
  "(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8])))";
const HOUR_MINUTE = "(?:[01]\\d|2[0-3]):[0-5]\\d";
const TIME = `${HOUR_MINUTE}:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-]${HOUR_MINUTE})`;

const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = `(?:${BYTE}\\.){3}${BYTE}`;
const H16 = "[0-9a-fA-F]{1,4}";
const LS32 = `(?:${H16}:${H16}|${IPV4})`;
/** The forms of RFC 3986, section 3.2.2, by the place of `::`. */
const IPV6 = [
  `(?:${H16}:){6}${LS32}`,
  `::(?:${H16}:){5}${LS32}`,
  ...[4, 3, 2].map((groups) => `(?:(?:${H16}:){0,${4 - groups}}${H16})?::(?:${H16}:){${groups}}${LS32}`),
  `(?:(?:${H16}:){0,3}${H16})?::${H16}:${LS32}`,
  `(?:(?:${H16}:){0,4}${H16})?::${LS32}`,
  `(?:(?:${H16}:){0,5}${H16})?::${H16}`,
  `(?:(?:${H16}:){0,6}${H16})?::`,
].join("|");

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
/** As far as an address of mail goes, nobody counts the length of a label. */
const MAIL_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const URI_CHAR = "(?:[A-Za-z0-9._~:/?@!$&'()*+,;=\\[\\]-]|%[0-9A-Fa-f]{2})";

/**
 * The formats that are checked, as regular expressions: RFC 3339 for dates and times (without leap seconds and in capital
 * letters), RFC 4122 for `uuid`, RFC 5321 for `email` (dot-atoms at a host name), RFC 1123 for `hostname`, RFC 3986 for
 * `uri` (its characters) and `ipv6`. All others only annotate.
 */
export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", `^${DATE}$`],
  ["time", `^${TIME}$`],
  ["date-time", `^${DATE}T${TIME}$`],
  ["uuid", "^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"],
  ["email", `^${ATOM}(?:\\.${ATOM})*@(?:${MAIL_LABEL}\\.)+[A-Za-z]{2,63}$`],
  ["hostname", `^${LABEL}(?:\\.${LABEL})*$`],
  ["ipv4", `^${IPV4}$`],
  ["ipv6", `^(?:${IPV6})$`],
  ["uri", `^[A-Za-z][A-Za-z0-9+.-]*:${URI_CHAR}+(?:#${URI_CHAR}*)?$`],
]);
