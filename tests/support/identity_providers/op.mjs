// A real OpenID Connect provider on loopback. Its first argument is a JSON text: port, clients, people (claims by login).
// People sign in with any password: what is tested is what comes after.
import Provider from 'oidc-provider';

const { port, clients, people } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients,
  claims: { openid: ['sub', 'oid', 'tid', 'groups'], profile: ['name', 'preferred_username'], email: ['email'] },
  conformIdTokenClaims: false, // like Entra ID: the claims of the scopes are in the ID token itself
  cookies: { keys: [String(Math.random())] },
  fetch: (address, options) => fetch(address, { ...options, dispatcher: undefined }), // it would reach no loopback address
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
  findAccount: (_, login) =>
    login in people ? { accountId: login, claims: () => ({ sub: login, ...people[login] }) } : undefined,
});

for (const event of ['server_error', 'backchannel.error']) provider.on(event, (_, error) => console.error(event, error));
const server = provider.listen(port, '127.0.0.1', () => console.log(`listening at ${issuer}`));
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => process.exit(0));
});
