/** A letter of plain text. */
export interface Letter {
  to: string;
  subject: string;
  text: string;
}

/** Sends letters. */
export interface Mailer {
  /** @throws {DomainError} `mail_failed` when the server does not take it. */
  send(letter: Letter): Promise<void>;
}

/** The letter with a link to set a password. */
export function writeResetLetter(to: string, url: string): Letter {
  return {
    to,
    subject: "Set a new password for Rookery",
    text: `Somebody asked for a new password for your account at Rookery. To set one, open this link within an hour:

${url}

If it was not you, do nothing: your password stays as it is.
`,
  };
}

/** The letter to somebody who may make an account. */
export function writeInvitation(to: string, url: string): Letter {
  return {
    to,
    subject: "You are invited to Rookery",
    text: `You may have an account at Rookery. To make it, open this link within a week:

${url}
`,
  };
}

/** The letter to somebody who has an account already and, or somebody else, tried to make another. */
export function writeExistsLetter(to: string, url: string): Letter {
  return {
    to,
    subject: "You have an account at Rookery",
    text: `Somebody tried to make an account at Rookery with your address, but you have one already. To log in, go to

${url}

If you forgot your password, ask there for a new one. If it was not you, do nothing.
`,
  };
}
