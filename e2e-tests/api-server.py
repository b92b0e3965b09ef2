#!/usr/bin/env python3
"""The part of a Kubernetes API server that policy-server uses to read a cluster's objects: discovery, list and watch.

PUT / sets the objects of the cluster, as a JSON list, and notifies the watchers.
Usage: api-server.py PORT, on loopback.
"""

import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

RESOURCES = {
    "/api/v1": {"configmaps": "ConfigMap", "services": "Service"},
    "/apis/apps/v1": {"deployments": "Deployment"},
    "/apis/cert-manager.io/v1": {"clusterissuers": "ClusterIssuer", "issuers": "Issuer"},
    "/apis/gateway.envoyproxy.io/v1alpha1": {"securitypolicies": "SecurityPolicy"},
    "/apis/gateway.networking.k8s.io/v1": {"gateways": "Gateway", "grpcroutes": "GRPCRoute", "httproutes": "HTTPRoute"},
    "/apis/networking.istio.io/v1": {"virtualservices": "VirtualService"},
    "/apis/networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "/apis/projectcontour.io/v1": {"httpproxies": "HTTPProxy"},
    "/apis/route.openshift.io/v1": {"routes": "Route"},
    "/apis/security.istio.io/v1": {"authorizationpolicies": "AuthorizationPolicy"},
    "/apis/traefik.io/v1alpha1": {"ingressroutes": "IngressRoute", "middlewares": "Middleware"},
}
# All other kinds are in namespaces.
CLUSTER_WIDE = {"ClusterIssuer"}

lock = threading.Lock()
version = 1
objects = []
watchers = []


def stored(obj):
    """An object as the API server stores it: in a namespace, with a version and an identity."""
    namespace = {} if obj["kind"] in CLUSTER_WIDE else {"namespace": "default"}
    metadata = {**namespace, **obj.get("metadata", {}), "resourceVersion": str(version)}
    metadata["uid"] = "/".join([obj["kind"], metadata.get("namespace", ""), metadata.get("name", ""), str(version)])
    return {**obj, "metadata": metadata}


def replace(new):
    global version, objects
    with lock:
        version += 1
        gone = [{**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}} for obj in objects]
        objects = [stored(obj) for obj in new]
        for selects, events in watchers:
            for kind, some in (("DELETED", gone), ("ADDED", objects)):
                for obj in filter(selects, some):
                    events.put({"type": kind, "object": obj})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, code=200):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self):
        replace(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer({})

    def do_GET(self):
        url = urlparse(self.path)
        if url.path == "/version":
            return self.answer({"major": "1", "minor": "35", "gitVersion": "v1.35.0"})
        if url.path in RESOURCES:
            return self.discovery(url.path)
        for group, kinds in RESOURCES.items():
            *namespaced, plural = url.path.removeprefix(group + "/").split("/")
            if url.path.startswith(group + "/") and plural in kinds and namespaced[:1] in ([], ["namespaces"]):
                namespace = namespaced[1] if namespaced else None
                kind, api_version = kinds[plural], group.removeprefix("/apis/").removeprefix("/api/")
                selects = lambda obj: obj["kind"] == kind and namespace in (None, obj["metadata"].get("namespace"))
                query = parse_qs(url.query)
                if "watch" in query:
                    return self.watch(selects, query.get("resourceVersion", ["0"])[0])
                with lock:
                    items = [obj for obj in objects if selects(obj)]
                    at = {"resourceVersion": str(version)}
                return self.answer({"kind": kind + "List", "apiVersion": api_version, "metadata": at, "items": items})
        self.answer({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}, 404)

    def discovery(self, group):
        verbs = ["get", "list", "watch"]
        resources = [
            {"name": plural, "singularName": kind.lower(), "namespaced": kind not in CLUSTER_WIDE, "kind": kind, "verbs": verbs}
            for plural, kind in RESOURCES[group].items()
        ]
        api_version = group.removeprefix("/apis/").removeprefix("/api/")
        self.answer({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources})

    def watch(self, selects, since):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events = queue.Queue()
        with lock:
            watchers.append((selects, events))
            if since != str(version):
                # A client that has missed events must list again.
                status = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}
                events.put({"type": "ERROR", "object": status})
        try:
            while True:
                line = json.dumps(events.get()).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
        except OSError:
            with lock:
                watchers.remove((selects, events))


class Server(ThreadingHTTPServer):
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
