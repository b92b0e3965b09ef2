//! The users that images name, where there is no registry to ask.

use std::collections::BTreeMap;

use serde_json::json;

use crate::yaml::{self, Value};

/// Images and their users, as a file lists them: YAML, a map from image references, as manifests write them, to `USER`.
///
/// ```yaml
/// cr.flyte.org/flyteorg/flyteadmin:v1.16.8: flyte
/// postgres:15-alpine: ""
/// ```
#[derive(Debug, Clone, Default)]
pub struct Images(Option<BTreeMap<String, String>>);

impl Images {
    /// Reads the text of such a file.
    ///
    /// # Errors
    ///
    /// The line and what is wrong there.
    pub fn read(text: &str) -> Result<Self, String> {
        let content =
            yaml::settings(text).map_err(|malformed| format!("line {}: {}", malformed.line, malformed.reason))?;
        let users = match content.map(|content| (content.line, content.value)) {
            None => return Err("no image is listed".to_owned()),
            Some((_, Value::Map(users))) => users,
            Some((line, _)) => return Err(format!("line {line}: expected a map from images to their USER")),
        };
        let user = |value: &Value| match value {
            Value::String(user) => Some(user.clone()),
            Value::Number(uid) => Some(uid.to_string()),
            Value::Null => Some(String::new()),
            _ => None,
        };
        let read = users.into_iter().map(|(image, node)| match user(&node.value) {
            Some(user) => Ok((image, user)),
            None => Err(format!("line {}: {image}: expected its USER, \"\" where it has none", node.line)),
        });
        read.collect::<Result<_, _>>().map(|users| Self(Some(users)))
    }

    /// What Kubewarden's host answers of an image's manifest and configuration, as far as its user goes.
    ///
    /// # Errors
    ///
    /// The image is not listed.
    pub fn answer(&self, image: &str) -> Result<Vec<u8>, String> {
        let Some(users) = &self.0 else {
            return Err("images were not looked at (--image-users FILE lists their users)".to_owned());
        };
        let user = users.get(image).ok_or_else(|| format!("{image} is not listed in the file of --image-users"))?;
        Ok(json!({"manifest": {}, "digest": "", "config": {"config": {"User": user}}}).to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Images;

    #[test]
    fn an_image_has_the_user_that_is_listed() {
        let images = Images::read("a: flyte\nb:\nc: 1001\nd: '0:0'\n").unwrap();
        for (image, user) in [("a", "flyte"), ("b", ""), ("c", "1001"), ("d", "0:0")] {
            let answer: serde_json::Value = serde_json::from_slice(&images.answer(image).unwrap()).unwrap();
            assert_eq!(user, answer["config"]["config"]["User"]);
        }
        assert_eq!(Err("e is not listed in the file of --image-users".to_owned()), images.answer("e"));
        assert!(Images::default().answer("a").unwrap_err().starts_with("images were not looked at"));
    }

    #[test]
    fn a_file_that_lists_something_else_is_refused_by_its_line() {
        for (text, problem) in [
            ("", "no image is listed"),
            ("- a\n", "line 1: expected a map from images to their USER"),
            ("a: b\nc: [d]\n", "line 2: c: expected its USER, \"\" where it has none"),
            ("a: b\na: c\n", "line 2: duplicate mapping key: a"),
        ] {
            assert_eq!(problem, Images::read(text).unwrap_err(), "{text}");
        }
    }
}
