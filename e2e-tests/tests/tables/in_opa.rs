//! The cases in modules for OPA, on its SDK for Rust.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use flytewarden_e2e::{
    cases::{Case, patched},
    modules,
    opa::{self, Question},
    root,
};
use flytewarden_offline::report::Answer;
use opa_wasm::{
    DefaultContext, Policy, Runtime,
    wasmtime::{Engine, Module, Store},
};
use serde_json::Value;
use tokio::runtime;

use crate::cases;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&modules::config()).expect("an engine"));

/// The modules of `dist/opa/` that run the cases.
pub struct Opa(BTreeMap<&'static str, Module>);

impl Opa {
    /// Compiles the modules.
    pub fn load() -> Self {
        let load = |name: &'static str| {
            let path = root().join("dist/opa").join(format!("{name}.wasm"));
            let module =
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `make opa` builds it", path.display()));
            (name, Module::new(&ENGINE, module).expect("the module loads"))
        };
        Self(opa::MODULES.map(load).into())
    }
}

impl Opa {
    /// The answers of the entrypoints to an input.
    fn ask<const N: usize>(&self, question: &Question, entrypoints: [&str; N]) -> Result<[Value; N], String> {
        let Question { module, input, data } = question;
        let asked = async {
            let mut store = Store::new(&ENGINE, ());
            let runtime = Runtime::new(&mut store, &self.0[module]).await?;
            let policy: Policy<DefaultContext> = runtime.with_data(&mut store, data).await?;
            let mut answers = [const { Value::Null }; N];
            for (entrypoint, answer) in entrypoints.iter().zip(&mut answers) {
                let mut results: Vec<BTreeMap<String, Value>> = policy.evaluate(&mut store, entrypoint, input).await?;
                *answer = results.remove(0).remove("result").unwrap_or_default();
            }
            Ok::<_, Box<dyn std::error::Error>>(answers)
        };
        let runtime = runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        runtime.block_on(asked).map_err(|error| error.to_string())
    }
}

/// The texts of findings.
fn texts(findings: &Value) -> Vec<String> {
    let texts = findings.as_array().into_iter().flatten().filter_map(|finding| finding["msg"].as_str());
    texts.map(str::to_owned).collect()
}

impl cases::Engine for Opa {
    fn validate(&self, case: &Case) -> Result<Answer, String> {
        let asked = ["flytewarden/violation", "flytewarden/warn", "flytewarden/admission"];
        let question = Question::from_case(case).ok_or("beyond OPA's engines")?;
        let [violations, warnings, review] = self.ask(&question, asked)?;
        let response = &review["response"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let answer = Answer {
            accepted: response["allowed"] == true,
            message: text(&response["status"]["message"]),
            code: response["status"]["code"].as_u64().map(|code| code as u16),
            mutated_object: patched(&question.input["request"]["object"], &response["patch"])?,
            audit_annotations: serde_json::from_value(response["auditAnnotations"].clone()).ok(),
            warnings: serde_json::from_value(response["warnings"].clone()).ok(),
        };
        // The same findings in three forms.
        let [message, said] = [texts(&violations).join("\n"), texts(&warnings).join("\n")];
        if message != answer.message.clone().unwrap_or_default() || message.is_empty() != answer.accepted {
            return Err(format!("{violations:#} is not what the review says: {answer:#?}"));
        }
        if said.lines().filter(|line| !line.starts_with("... and ")).collect::<Vec<_>>().join("\n")
            != answer.warnings.clone().unwrap_or_default().join("\n")
        {
            return Err(format!("{warnings:#} is not what the review says: {answer:#?}"));
        }
        Ok(answer)
    }

    fn validate_settings(&self, case: &Case) -> Result<(), String> {
        let question = Question::from_case(case).ok_or("beyond OPA's engines")?;
        let [violations] = self.ask(&question, ["flytewarden/violation"])?;
        let of_settings = |text: &String| text.strip_prefix("cannot be checked: settings: ").map(str::to_owned);
        let problem = texts(&violations).iter().find_map(of_settings);
        let own = |problem: String| problem.strip_prefix(&format!("{}: ", case.policy)).unwrap_or(&problem).to_owned();
        problem.map_or(Ok(()), |problem| Err(own(problem)))
    }
}
