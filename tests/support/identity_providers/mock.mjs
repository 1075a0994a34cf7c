// An OpenID provider that asks nobody anything and signs what the test wants: the file `wish` is read for each token.
// Its JSON: `claims` and `header` (null takes one out), and `forge`, one of the ways below to replace the signed ID token.
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Events, OAuth2Server } from 'oauth2-mock-server';

const { port, subject, wish } = JSON.parse(process.argv[2]);
const wanted = () => JSON.parse(readFileSync(wish, 'utf8'));
const change = (target, changes = {}) => {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete target[name];
    else target[name] = value;
  }
};
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const payloadOf = (token) => token.split('.')[1];

const server = new OAuth2Server();
const key = await server.issuer.keys.generate('RS256');

const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
const forgeries = {
  // by a key that nobody published; "jwk" in the wished header becomes that key
  own_key: (token) => {
    const header = { alg: 'RS256', kid: key.kid, ...wanted().header };
    if (header.jwk) header.jwk = own.publicKey.export({ format: 'jwk' });
    const text = `${encoded(header)}.${payloadOf(token)}`;
    return `${text}.${sign('sha256', Buffer.from(text), own.privateKey).toString('base64url')}`;
  },
  unsigned: (token) => `${encoded({ alg: 'none', kid: key.kid })}.${payloadOf(token)}.`,
  symmetric: (token) => {
    const pem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const text = `${encoded({ alg: 'HS256', kid: key.kid })}.${payloadOf(token)}`;
    return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
  },
  changed: (token) => {
    const [header, payload, signature] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url'));
    return [header, encoded({ ...claims, groups: ['admins'] }), signature].join('.');
  },
  absent: () => undefined,
};

server.service.on(Events.BeforeWellKnownOpenIdConfiguration, (response) => {
  response.body.token_endpoint_auth_methods_supported = ['client_secret_basic']; // it asks for none, and minds none
});
server.service.on(Events.BeforeTokenSigning, (token) => {
  token.payload.sub = subject;
  change(token.payload, wanted().claims);
  change(token.header, wanted().header);
});
server.service.on(Events.BeforeResponse, (response) => {
  const forge = forgeries[wanted().forge];
  if (forge) response.body.id_token = forge(response.body.id_token);
});

server.issuer.url = `http://127.0.0.1:${port}`;
await server.start(port, '127.0.0.1');
process.on('SIGTERM', () => server.stop().then(() => process.exit(0)));
