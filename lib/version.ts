/** Rookery's own version, as `/status` and the API's description report it; see https://semver.org. */
export const VERSION = "0.1.0";
