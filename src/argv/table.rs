//! Scripts, and their words as dash, bash and busybox give them to programs.

use super::{
    Run, Value, Word,
    environment::Environment,
    script::{Command, Script},
    wrappers::find_script,
};

/// Returns the words of a script's commands. A word that is known only in part is shown as its known start and `?`.
fn commands(script: &str, environment: &Environment) -> Vec<String> {
    let word = |text: &str| Word { value: Value::known(text.to_owned()), ..Word::default() };
    let (text, parameters) = (word(script), [word("sh"), word("p q"), word("")]);
    let mut script = Script::new(&text, &parameters, environment, &Run { ..Run::default() });
    let mut commands = Vec::new();
    loop {
        match script.next_command() {
            Ok(None) => return commands,
            Ok(Some(Command { words, variables, .. })) => {
                let shown = |value: &Value| format!("{}{}", value.text, if value.is_known { "" } else { "?" });
                let set = variables.iter().map(|(name, word)| format!("{name}:{}", shown(&word.value)));
                let words = words.iter().map(|word| format!("<{}>", shown(&word.value)));
                commands.push(set.chain(words).collect());
            }
            Err(what) => {
                commands.push(format!("! {what}"));
                return commands;
            }
        }
    }
}

#[test]
fn scripts_are_read_as_a_shell_does() {
    let environment =
        Environment::from_variables(&[("A", Some("a b")), ("B", Some("b")), ("NONE", Some("")), ("X", None)]);
    for (script, expected) in [
        ("a b\tc", "<a><b><c>"),
        ("a 'b c'\"d e\"\\ f", "<a><b cd e f>"),
        ("a 'b\\'\"\\$\\x\\\\\"\\'", "<a><b\\$\\x\\'>"),
        ("a \\\n b", "<a><b>"),
        ("a '' \"\"", "<a><><>"),
        ("a # b\nc#d #", "<a> <c#d>"),
        ("a;b&&c||d|e&f\n\n;", "<a> <b> <c> <d> <e> <f>"),
        ("a >f b 2>&1 <g c>>h&>i d 2>j |& e", "<a><b><c><d> <e>"),
        ("a $NONE#b ${NONE}2>f #c", "<a><#b><2>"),
        ("${NONE}if ${NONE}B=c", "<if><B=c>"),
        ("a >$A b >f\"$@\" c", "<a><b><c>"),
        ("a $A\\\nB", "! a word that goes on in the next line"),
        ("a &\\\n& b", "<a> ! a word that goes on in the next line"),
        ("a \"b\\\nc\"", "! a quote with a line that goes on"),
        ("a 2 2>f 2x>g", "<a><2><2x>"),
        ("a $A$B \"$A\" $NONE \"$NONE\" x$NONE", "<a><a><bb><a b><><x>"),
        ("a ${A}c '$A' \\$A \"$\"", "<a><a><bc><$A><$A><$>"),
        ("a $1 \"$1\" $3 \"$3\" $0 ${1}", "<a><p><q><p q><><sh><p><q>"),
        ("a \"$@\" b", "<a><p q><><b>"),
        ("a x\"$@\"y", "<a><xp q><y>"),
        ("a $@ $*", "<a><p><q><p><q>"),
        ("shift; a \"$@\"", "<shift> <a><?>"),
        ("set -e; a \"$@\"; set -- b; a \"$@\"", "<set><-e> <a><p q><> <set><--><b> <a><?>"),
        ("a $X x$X \"x$X\" y", "<a><?><x?><?><x?><y>"),
        ("a $UNSET \"$UNSET\"", "<a><?><?>"),
        ("a $(b c) \"$(b)\" `b` $? ${A:-b}", "<a><?><?><?><?><?>"),
        ("a \"${A#x}\" \"${@:2}\" \"$*\"", "<a><?><?><?>"),
        ("B=c; a $B", "B:c<a><c>"),
        ("C=$A D='x y'; a \"$C\" \"$D\"", "<a><a b><x y>"),
        ("B=c a $B", "B:c<a><b>"),
        ("export B=c; a $B", "B:c<export><B=c> B:c<a><c>"),
        ("'B'=c a", "<B=c><a>"),
        ("B=c\"d\"'e' a", "B:cde<a>"),
        ("B+=c; a $B", "B:?<a><?>"),
        ("b && B=c; a $B", "<b> B:?<a><?>"),
        ("B=c | b; a $B", "B:?<b> B:?<a><?>"),
        ("B=c & a $B", "B:?<a><?>"),
        ("read B; unset A; a $B $A", "<read><B> <unset><A> <a><?><?>"),
        (". x; a $B", "<.><x> <a><?>"),
        ("IFS=,; a $B", "<a><?>"),
        ("S.A=b a", "<S.A=b><a>"),
        ("a {} b", "! `{`"),
        ("a; if b; then c; fi", "<a> ! `if`"),
        ("a if", "<a><if>"),
        ("'if' a", "<if><a>"),
        ("{ a; }", "! `{`"),
        ("f() { a; }", "! `(`"),
        ("! a", "! `!`"),
        ("[[ a ]]", "! `[[`"),
        ("a <<b", "! `<<`"),
        ("a <(b)", "! `<(`"),
        ("a $((1))", "! a substitution with more than plain words"),
        ("a $(flyteadmin serve)", "! a substitution with more than plain words"),
        ("a $A$", "! a `$` alone"),
        ("a 22>b", "! `22>`"),
        ("a $'b'", "! `$'`"),
        ("a $[1]", "! `$[`"),
        ("a ${A:=b}", "! `${` with more than a name in it"),
        ("a ${A", "! `${` that is never closed"),
        ("a 'b", "! a quote that is never closed"),
        ("a \"b", "! a quote that is never closed"),
        ("a \\", "<a><\\>"),
        ("", ""),
    ] {
        assert_eq!(commands(script, &environment).join(" "), expected, "{script}");
    }
}

#[test]
fn repeated_parameters_do_not_grow_without_bound() {
    let long = "x".repeat(1 << 16);
    let environment = Environment::from_variables(&[("A", Some(&long))]);
    let commands = commands(&"a $A \"$@\";".repeat(1 << 10), &environment);
    assert!(commands.iter().map(String::len).sum::<usize>() < 1 << 21);
    assert_eq!(commands.last().map(String::as_str), Some("! too many commands"));
}

#[test]
fn a_script_is_found_among_a_shells_words() {
    for (words, script) in [
        ("-c s", Some("s")),
        ("-ec s 0 1", Some("s")),
        ("-e -c s", Some("s")),
        ("-c -e s", Some("s")),
        ("-o pipefail -c s", Some("s")),
        ("-eo pipefail +x -c -- s", Some("s")),
        ("--login -c s", Some("s")),
        ("-c - s", Some("s")),
        ("s", None),
        ("-e s", None),
        ("-sc s", None),
        ("--rcfile x -c s", None),
        ("-c", None),
        ("-o", None),
        ("-é s", None),
        ("", None),
    ] {
        let words: Vec<_> =
            words.split_whitespace().map(|text| Word { value: Value::known(text), ..Word::default() }).collect();
        assert_eq!(find_script(&words).map(|(script, _)| &*script.value.text), script, "{words:?}");
    }
}
