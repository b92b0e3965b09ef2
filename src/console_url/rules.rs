//! The findings of `flyte-console-url`.

use crate::rule::rules;

rules! {
    "flyte-console-url":
    Low CLUSTER_HOST = "cluster-host",
        "a host that only the cluster can resolve",
        "This is a name without a dot, `*.svc`, `*.cluster.local` or `flyteadmin.<namespace>`. flyteconsole runs in browsers outside the cluster, which cannot resolve it. Set the address where browsers reach flyteadmin.";
    Medium PLAIN_HTTP = "plain-http",
        "an address over `http`, except `localhost`, `*.localhost`, `127.0.0.0/8` and `[::1]`",
        "Anyone on the network path can read what flyteconsole sends. Serve flyteadmin over https, or add the host to `allowHttp`.";
    Low MORE_THAN_ORIGIN = "more-than-origin",
        "an address with a path, a slash at the end, a query, a fragment or a user",
        "flyteconsole appends paths such as `/login` to it. Set only scheme, host and port. If a proxy removes the path, set `allowPath: true`.";
    Low PLACEHOLDER = "placeholder",
        "a placeholder: `<flyte-admin-domain>`, `{{ ... }}`",
        "The placeholder was not replaced. Set flyteadmin's address.";
    Low NO_URL = "no-url",
        "an address that browsers cannot call",
        "It has no host, a punycode host that browsers reject, letters in its host that this policy cannot read, no scheme, a scheme in upper case, or a scheme other than http and https. Set flyteadmin's address, e.g. `https://flyte.example.com`.";
    Low CUT_OFF = "cut-off",
        "a flyteconsole on another origin than flyteadmin, if flyteadmin does not allow that origin",
        "CORS is off, the origin is not listed, or only `*` allows it, which browsers reject because flyteconsole's calls carry credentials. The page loads, but none of its calls works. Allow the console's origin in flyteadmin's configuration. For pods and ReplicaSets that a controller creates, this is a notice.";
    Low NOT_CHECKED = "not-checked",
        "a flyteconsole whose flyteadmin could not be checked",
        "flyteadmin may not allow flyteconsole, and the policy could not check it. Set `consoleOrigins`, or allow the policy to read the objects that it asks for. This is a notice unless the setting `requireCrossCheck` is true.";
    Notice NO_WAY = "no-way",
        "Ingresses or routes that lead to flyteadmin, but not from the host that flyteconsole calls",
        "`ADMIN_API_URL` may be misspelt or not set. Compare it with the hosts of flyteadmin's Ingress.";
    Notice NO_LOGIN = "no-login",
        "a flyteconsole and a flyteadmin on different sites, so browsers do not send flyteadmin's login cookies",
        "Even with correct CORS, users cannot log in: browsers send a cookie to another site only if it has `SameSite=None`. Serve both under one domain, or set `auth.userAuth.cookieSetting.sameSitePolicy: NoneMode`.";
}
