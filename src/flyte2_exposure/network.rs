//! Checks whether NetworkPolicies let only some pods reach Flyte 2's ports.
//!
//! Policies that select a pod add up: traffic that one of them allows is allowed. A pod that none selects is open to all.
//!
//! Source: the [reference of NetworkPolicy](https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/).

use serde_json::value::RawValue;

use crate::{host::Listed, installation::objects::Objects, members::Members, text::Text, view::view, workload::Labels};

view! {
    struct NetworkPolicy<'a> {
        "spec" => spec: Spec<'a>,
    }

    struct Spec<'a> {
        "podSelector" => selector: Selector<'a>,
        "policyTypes" => types: Vec<Text<'a>>,
        "ingress" => ingress: Vec<Rule<'a>>,
    }

    struct Selector<'a> {
        "matchLabels" => labels: Labels<'a>,
        "matchExpressions" => expressions: Vec<&'a RawValue>,
    }

    struct Rule<'a> {
        "from" => from: Vec<Peer<'a>>,
    }

    struct Peer<'a> {
        "podSelector" => pods: Members<'a, &'a RawValue>,
        "namespaceSelector" => namespaces: Members<'a, &'a RawValue>,
        "ipBlock" => block: Block<'a>,
    }

    struct Block<'a> {
        "cidr" => cidr: Text<'a>,
    }
}

/// Whether the NetworkPolicies of a namespace let only some pods reach pods with these labels; `None` if that depends
/// on a selector that is not read.
///
/// # Errors
///
/// Why the policies are not known.
pub(super) fn closes(objects: &Objects, namespace: &str, labels: Option<&Labels>) -> Result<Option<bool>, String> {
    let (mut is_selected, mut is_open, mut may_be_selected) = (false, false, false);
    objects.each(Listed::NetworkPolicy, Some(namespace), |found| {
        let spec = found.read_fields::<NetworkPolicy>(Listed::NetworkPolicy)?.spec.unwrap_or_default();
        let is_of_ingress = spec.types.as_ref().is_none_or(|types| types.iter().any(|kind| &**kind == "Ingress"));
        let selector = spec.selector.unwrap_or_default();
        // An empty selector selects every pod.
        let selects = selector.labels.is_none_or(|own| own.is_empty() || own.selects(labels));
        if !is_of_ingress || !selects {
            return Ok(());
        }
        if selector.expressions.is_some_and(|expressions| !expressions.is_empty()) {
            may_be_selected = true;
            return Ok(());
        }
        is_selected = true;
        is_open |= spec.ingress.iter().flatten().any(Rule::is_open);
        Ok(())
    })?;
    Ok(if is_open {
        Some(false)
    } else if is_selected || !may_be_selected {
        Some(is_selected)
    } else {
        None
    })
}

impl Rule<'_> {
    /// Whether it lets in every pod, or every address.
    fn is_open(&self) -> bool {
        let from = self.from.as_deref().unwrap_or_default();
        from.is_empty() || from.iter().any(Peer::is_everybody)
    }
}

impl Peer<'_> {
    fn is_everybody(&self) -> bool {
        let says_nothing = |selector: &Members<'_, &RawValue>| {
            selector.values().all(|part| matches!(part.get(), "{}" | "[]" | "null"))
        };
        match (&self.block, &self.namespaces, &self.pods) {
            (Some(block), ..) => block.cidr.as_deref().is_some_and(|cidr| cidr.ends_with("/0")),
            (None, Some(namespaces), pods) => says_nothing(namespaces) && pods.as_ref().is_none_or(says_nothing),
            // The pods of the namespace, including tasks.
            (None, None, _) => false,
        }
    }
}
