//! The findings of `flyte2-exposure`.

use crate::rule::rules;

rules! {
    "flyte2-exposure":
    High OPEN_ROUTE = "open-route",
        "an Ingress or a route that leads to Flyte 2 without authentication in front",
        "Flyte 2 does not authenticate. Anyone who reaches the route can start runs, read their data, and read and write secrets, as any user. Let the controller authenticate, or point the route at a proxy that does. If something else authenticates, add the route to `authenticated`.";
    High OPEN_SERVICE = "open-service",
        "a Service that is reachable from outside the cluster and leads to Flyte 2",
        "`LoadBalancer`, `NodePort` and `externalIPs` bypass every proxy that authenticates, and Flyte 2 does not authenticate. Set `type: ClusterIP`, and use a route that authenticates.";
    High OPEN_PORT = "open-port",
        "a port of Flyte 2 on the node itself, by `hostPort` or `hostNetwork`",
        "It bypasses every proxy that authenticates, and Flyte 2 does not authenticate. Remove it.";
    High NO_AUTHENTICATION = "no-authentication",
        "a section `auth`, which Flyte 1 reads and Flyte 2 does not",
        "It looks as if users must log in, but they need not. Remove it, and authenticate in front of Flyte.";
    High INSECURE_PROVIDER = "insecure-provider",
        "`runs.authMetadata.externalAuthServerBaseUrl` that is not an absolute https URL",
        "Clients go there to log in. Over plain http, anyone on the network path can send them to another provider. Without an absolute URL, they cannot log in.";
    Medium UNREADABLE_FILE = "unreadable-file",
        "a file of Flyte 2's configuration that cannot be read, or that is ambiguous",
        "Flyte 2 does not start with it, and nothing in it was checked.";
    Notice FORGEABLE_IDENTITY = "forgeable-identity",
        "user identities from headers that any pod, or any logged-in user, can send",
        "Flyte 2 reads the user from headers and verifies no token. That is safe only if nothing but the proxy can reach it. Set `runs.trustForwardedIdentityHeaders: false`. Or add a NetworkPolicy that allows only the proxy and task pods, and let the proxy remove the caller's `X-Amzn-Oidc-*` and `Authorization` headers, as AWS's does when it logs users in.";
    Notice ANY_ORIGIN = "any-origin",
        "a route to Flyte 2 that does not remove its CORS headers",
        "Flyte 2 allows every origin, with credentials, and has no option to change that. If browsers send a session, such as a proxy's cookie, any website can act as the user. Let the controller remove the headers.";
    Notice NO_EFFECT = "no-effect",
        "options of Flyte 1 that Flyte 2 does not read: a section `server` in a file, `ADMIN_API_URL` of the console",
        "They change nothing. Remove them.";
    Notice READS_SECRETS = "reads-secrets",
        "Flyte 2's ClusterRole over the Secrets of all namespaces",
        "Anyone who gets the token of Flyte's ServiceAccount can read and change every Secret of the cluster. Callers of Flyte's API can do with Secrets only what that API offers. If all of Flyte's projects are in known namespaces, bind a Role in each instead.";
    Notice NOT_KNOWN = "not-known",
        "authentication or network rules in front that could not be checked",
        "Check it yourself, or add the missing object. If something authenticates, add the route to `authenticated`.";
}
