//! Istio's AuthorizationPolicies.
//!
//! Source: `security/v1beta1/authorization_policy.proto` of [istio/api](https://github.com/istio/api).

use super::{
    super::{is_for_everybody, server::OF_CLUSTER},
    Annotations, Target,
};
use crate::{host::Listed, installation::objects::Objects, members::Members, text::Text, view::view, workload::Labels};

view! {
    struct AuthorizationPolicy<'a> {
        "metadata" => metadata: Annotations<'a>,
        "spec" => spec: AuthorizationSpec<'a>,
    }

    struct AuthorizationSpec<'a> {
        "selector" => selector: Selector<'a>,
        "targetRefs" => targets: Vec<Target<'a>>,
        "action" => action: Text<'a>,
        "rules" => rules: Vec<AuthorizationRule<'a>>,
    }

    struct Selector<'a> {
        "matchLabels" => labels: Labels<'a>,
    }

    struct AuthorizationRule<'a> {
        "from" => from: Vec<From<'a>>,
        "to" => to: Vec<To<'a>>,
        "when" => when: Vec<Condition<'a>>,
    }

    struct From<'a> {
        "source" => source: Lists<'a>,
    }

    struct To<'a> {
        "operation" => operation: Lists<'a>,
    }

    struct Condition<'a> {
        "key" => key: Text<'a>,
        "values" => values: Vec<Text<'a>>,
    }
}

/// The conditions for a source or an operation, by the names of its fields.
type Lists<'a> = Members<'a, Option<Vec<Text<'a>>>>;

/// The combined effect of Istio's policies on pods.
#[derive(Debug, Default)]
pub(in crate::flyte2_exposure) struct Mesh {
    /// Whether they authenticate the caller: a person, not the proxy of the mesh.
    pub(in crate::flyte2_exposure) asks: bool,
    /// Whether they let in only some pods.
    pub(in crate::flyte2_exposure) closes: bool,
    /// A policy that looks as if it authenticates, and why it does not for everybody.
    pub(in crate::flyte2_exposure) missed: Option<String>,
}

/// Returns how a namespace's Istio policies affect pods with these labels. A policy that cannot be read does not count,
/// because no cluster accepts it.
///
/// # Errors
///
/// Why the policies are not known.
pub(in crate::flyte2_exposure) fn of_mesh(
    objects: &Objects,
    namespace: &str,
    labels: Option<&Labels>,
) -> Result<Mesh, String> {
    // Without the mesh's proxy they have no effect.
    if labels.and_then(|labels| labels.get("sidecar.istio.io/inject")) == Some("false") {
        return Ok(Mesh::default());
    }
    // A request needs to match only one of the ALLOW policies. Without any, all requests are allowed.
    let (mut allows, mut allow_all_ask, mut allow_all_close) = (false, true, true);
    let mut mesh = Mesh::default();
    objects.each(Listed::AuthorizationPolicy, Some(namespace), |found| {
        let policy = match found.read_fields::<AuthorizationPolicy>(Listed::AuthorizationPolicy) {
            Ok(policy) => policy,
            Err(reason) => {
                mesh.missed = Some(reason);
                return Ok(());
            }
        };
        let title = || found.title(Listed::AuthorizationPolicy);
        let annotations = policy.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
        let spec = policy.spec.unwrap_or_default();
        let selector = spec.selector.as_ref().and_then(|selector| selector.labels.as_ref());
        if selector.is_some_and(|selector| !selector.selects(labels)) {
            return Ok(());
        }
        if annotations.get("istio.io/dry-run") == Some("true") {
            mesh.missed = Some(format!("{} is a dry run", title()));
            return Ok(());
        }
        if spec.targets.as_ref().is_some_and(|targets| !targets.is_empty()) {
            mesh.missed =
                Some(format!("this policy cannot tell whether the targetRefs of {} select these pods", title()));
            return Ok(());
        }
        let rules = spec.rules.unwrap_or_default();
        let some = |missed: &mut Option<String>, asks: bool| {
            if !asks && !rules.is_empty() {
                *missed = Some(format!("{} authenticates only some callers", title()));
            }
            asks
        };
        match spec.action.as_deref().unwrap_or("ALLOW") {
            "ALLOW" => {
                allows = true;
                allow_all_ask &= some(&mut mesh.missed, rules.iter().all(|rule| rule.lets_in(&["requestPrincipals"])));
                let pods = ["requestPrincipals", "principals", "namespaces", "serviceAccounts"];
                allow_all_close &= rules.iter().all(|rule| rule.lets_in(&pods));
            }
            "CUSTOM" => mesh.asks |= some(&mut mesh.missed, rules.iter().any(|rule| rule.is_for_all(&[]))),
            "DENY" => {
                let denies = rules.iter().any(|rule| rule.is_for_all(&["notRequestPrincipals"]));
                mesh.asks |= some(&mut mesh.missed, denies);
            }
            _ => {}
        }
        Ok(())
    })?;
    mesh.asks |= allows && allow_all_ask;
    mesh.closes = mesh.asks || allows && allow_all_close;
    Ok(mesh)
}

/// The fields of a source or an operation that are set, with their lists.
fn named_lists<'l>(lists: &'l Lists) -> impl Iterator<Item = (&'l str, &'l [Text<'l>])> {
    let lists = lists.iter().map(|(name, list)| (&**name, list.as_deref().unwrap_or_default()));
    lists.filter(|(_, list)| !list.is_empty())
}

impl AuthorizationRule<'_> {
    /// Whether an ALLOW rule lets in only callers that one of the given fields identifies, or leads only to paths and
    /// ports that do not need authentication.
    fn lets_in(&self, fields: &[&str]) -> bool {
        let says_who = |from: &From| {
            from.source.as_ref().is_some_and(|source| named_lists(source).any(|(name, _)| fields.contains(&name)))
        };
        let is_of_token = |condition: &Condition| {
            condition.key.as_deref().is_some_and(|key| key.starts_with("request.auth."))
                && condition.values.as_ref().is_some_and(|values| !values.is_empty())
        };
        let is_harmless = |to: &To| {
            to.operation.as_ref().is_some_and(|operation| {
                named_lists(operation).any(|(name, list)| match name {
                    "paths" => list.iter().all(|path| is_for_everybody(path)),
                    "ports" => list.iter().all(|port| OF_CLUSTER.contains(&&**port)),
                    _ => false,
                })
            })
        };
        let has = |mut is: Box<dyn Iterator<Item = bool> + '_>| is.next().is_some_and(|first| first && is.all(|is| is));
        has(Box::new(self.from.iter().flatten().map(says_who)))
            || self.when.iter().flatten().any(is_of_token)
            || has(Box::new(self.to.iter().flatten().map(is_harmless)))
    }

    /// Whether a rule covers all requests, except those to paths for everybody. It may restrict sources only by the
    /// given fields.
    fn is_for_all(&self, fields: &[&str]) -> bool {
        let is_no_more = |from: &From| {
            from.source.as_ref().is_some_and(|source| named_lists(source).all(|(name, _)| fields.contains(&name)))
        };
        let is_everywhere = |to: &To| {
            to.operation.as_ref().is_some_and(|operation| {
                named_lists(operation).all(|(name, list)| match name {
                    "paths" => list.iter().any(|path| matches!(&**path, "*" | "/*")),
                    "notPaths" => list.iter().all(|path| is_for_everybody(path)),
                    _ => false,
                })
            })
        };
        let is_empty = |length: Option<usize>| length.is_none_or(|length| length == 0);
        let of_all = match fields {
            [] => is_empty(self.from.as_ref().map(Vec::len)),
            _ => self.from.iter().flatten().any(is_no_more),
        };
        of_all
            && is_empty(self.when.as_ref().map(Vec::len))
            && (is_empty(self.to.as_ref().map(Vec::len)) || self.to.iter().flatten().any(is_everywhere))
    }
}
