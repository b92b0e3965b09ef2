//! What `flyte2-exposure` can find.

use crate::rule::rules;

rules! {
    "flyte2-exposure":
    Violation OPEN_ROUTE = "open-route",
        "an Ingress or a route that leads to Flyte 2, with nothing in front that asks who calls",
        "Flyte 2 authenticates nobody. Whoever reaches the route may start runs, read their data, and read and write secrets, as anyone they say they are. Have the controller authenticate, lead the route to a proxy that does, or name it in `authenticated` where something else does.";
    Violation OPEN_SERVICE = "open-service",
        "a Service that is reached from outside the cluster and leads to Flyte 2",
        "`LoadBalancer`, `NodePort` and `externalIPs` lead around every proxy that authenticates, and Flyte 2 authenticates nobody. Set `type: ClusterIP`, and let people in by a route that authenticates.";
    Violation OPEN_PORT = "open-port",
        "a port of Flyte 2 on the node itself, by `hostPort` or `hostNetwork`",
        "It leads around every proxy that authenticates, and Flyte 2 authenticates nobody. Remove it.";
    Violation NO_AUTHENTICATION = "no-authentication",
        "a section `auth`, which Flyte 1 reads and Flyte 2 does not",
        "It looks as if people had to log in, and nobody has to. Remove it, and authenticate in front of Flyte.";
    Violation INSECURE_PROVIDER = "insecure-provider",
        "`runs.authMetadata.externalAuthServerBaseUrl` that is no absolute https URL",
        "Clients are sent there to log in. Over plain http whoever is on the way gives them another provider; with no absolute URL they are sent nowhere.";
    Violation UNREADABLE_FILE = "unreadable-file",
        "a file of Flyte 2's configuration that cannot be read, or that reads in two ways",
        "Flyte 2 does not start with it, and nothing in it was checked.";
    Notice FORGEABLE_IDENTITY = "forgeable-identity",
        "identities from headers that any pod of the cluster can send, or anyone who has logged in",
        "Flyte 2 takes who ran what from headers, and verifies no token, which is safe only where nothing but the proxy reaches it. Set `runs.trustForwardedIdentityHeaders: false`. Or close its ports by a NetworkPolicy to all but the proxy and the pods of tasks, and have the proxy remove `X-Amzn-Oidc-*` and `Authorization` of whoever calls, as AWS' does when it logs people in.";
    Notice ANY_ORIGIN = "any-origin",
        "a route to Flyte 2 that does not remove its CORS headers",
        "Flyte 2 allows every website that asks, with credentials, and has no option against it. Where browsers send a session along, such as a proxy's cookie, any website may act as the person. Have the controller remove the headers.";
    Notice NO_EFFECT = "no-effect",
        "options of Flyte 1 that Flyte 2 does not read: a section `server` in a file, `ADMIN_API_URL` of the console",
        "They change nothing. Remove them.";
    Notice READS_SECRETS = "reads-secrets",
        "Flyte 2's ClusterRole over the Secrets of all namespaces",
        "Whoever acts as Flyte reads and changes every Secret of the cluster, and anyone who reaches Flyte acts as it, as far as its services go. Where all of Flyte's projects are in known namespaces, bind a Role in each instead.";
    Notice NOT_KNOWN = "not-known",
        "what may authenticate in front, or close the ports, and is not seen",
        "Look yourself, or give the object with the others. Where something authenticates, name the route in `authenticated`.";
}
