//! Tests of UPDATEs to every object of the case tables that a policy rejects, as if the objects were older than the policy.

use std::sync::LazyLock;

use flytewarden::{answer::Answer, oauth_tls::LINKED};
use flytewarden_e2e::{
    cases::{self, Case},
    native::clock,
};
use flytewarden_offline::linked::Asked;
use serde_json::{Value, json};

/// The answer to a case's request with some fields replaced.
fn answer(case: &Case, fields: &[(&str, &Value)]) -> Answer {
    let mut request = case.admission_request();
    for (field, value) in fields {
        request[*field] = (*value).clone();
    }
    let payload = json!({"request": request, "settings": case.settings}).to_string();
    case.native().validate(payload.as_bytes(), &Asked { host: &*case.host(), clock, pki: || Ok(LINKED) })
}

/// The answer to an UPDATE.
fn update(case: &Case, old: &Value, new: &Value) -> Answer {
    answer(case, &[("operation", &json!("UPDATE")), ("oldObject", old), ("object", new)])
}

/// The cases whose object is rejected when it is created, each with that object.
static REFUSED: LazyLock<Vec<(Case, Value)>> = LazyLock::new(|| {
    let is_created = |case: &Case| case.request.keys().all(|field| field == "namespace");
    let refused = cases::all().into_iter().filter(|case| !case.accepted && !case.lacks_openssl && is_created(case));
    let is_live = |object: &Value| object["metadata"].is_object() && object["metadata"]["deletionTimestamp"].is_null();
    let with_object = |case: Case| case.object.clone().filter(is_live).map(|object| (case, object));
    refused.filter_map(with_object).collect()
});

#[test]
fn metadata_can_change_whatever_is_wrong() {
    let mut count = 0;
    for (case, object) in &*REFUSED {
        let mut before = object.clone();
        before["status"] = json!({"phase": "Running"});
        let mut changed = object.clone();
        changed["status"] = json!({"phase": "Succeeded"});
        changed["metadata"]["annotations"] = json!({"a": "b"});
        changed["metadata"]["ownerReferences"] = json!([]);
        let answer = update(case, &before, &changed);
        assert!(answer.accepted && answer.warnings.is_none(), "{} {}: {:?}", case.table, case.it, answer.message);
        count += 1;
    }
    assert!(count > 200, "{count} cases");
}

#[test]
fn workloads_can_be_scaled_and_restarted_whatever_is_wrong() {
    let mut count = 0;
    for (case, object) in REFUSED.iter().filter(|(case, object)| object["spec"].is_object() && case.code.is_none()) {
        let mut changed = object.clone();
        changed["spec"]["replicas"] = json!(3);
        changed["metadata"]["labels"]["flytewarden.test"] = json!("x");
        let answer = update(case, object, &changed);
        assert!(answer.accepted, "{} {}: {:?}", case.table, case.it, answer.message);
        assert!(answer.warnings.is_some(), "{} {}: nobody is told", case.table, case.it);
        count += 1;
    }
    assert!(count > 100, "{count} cases");
}

#[test]
fn an_update_that_adds_a_problem_is_rejected() {
    let mut count = 0;
    // `fill` fixes the problems that it fills in.
    let is_judged = |case: &Case| case.code.is_none() && case.settings["fill"].is_null();
    for (case, object) in REFUSED.iter().filter(|(case, _)| is_judged(case)) {
        let metadata = object["metadata"].clone();
        let good = json!({"metadata": metadata, "spec": {"template": {"spec": {}}}, "data": {"server.yaml": "server: {security: {allowCors: false}}"}});
        if answer(case, &[("object", &good)]).accepted {
            assert!(!update(case, &good, object).accepted, "{} {}", case.table, case.it);
            count += 1;
        }
    }
    assert!(count > 100, "{count} cases");
}
