//! Programs that only start another program, and which words of a command line are their own.
//!
//! Options are parsed as getopt does. Sources: the manual pages of coreutils 9.1, util-linux 2.38 and busybox 1.35; `tini.c`
//! of [krallin/tini](https://github.com/krallin/tini), `dumb-init.c` of [Yelp/dumb-init](https://github.com/Yelp/dumb-init),
//! and `catatonit.c` of [openSUSE/catatonit](https://github.com/openSUSE/catatonit).

use super::{
    environment::Value,
    word::{At, Run, Word},
};
use crate::verdict::Shortened;

/// Wrappers with the same words: their names; their short options, with `:` after those that take a value; their long
/// options, with `=` after those that do; the number of words before the program. Other options are not read.
type Wrapper = (&'static str, &'static str, &'static str, usize);

const WRAPPERS: [Wrapper; 16] = [
    (INITS, "p:vwge:R:s", "", 0),
    ("dumb-init", "vcr:", "verbose single-child rewrite=", 0),
    ("env", "a:C:iu:v0", "argv0= chdir= ignore-environment unset= debug", 0),
    ("nice", "n:0123456789", "adjustment=", 0),
    // `command`, `builtin`, `exec` and `time` are a shell's own.
    ("nohup busybox toybox command builtin", "", "", 0),
    ("exec", "a:l", "", 0),
    ("time", "p", "", 0),
    ("timeout", "fk:ps:v", "foreground kill-after= preserve-status signal= verbose", 1),
    ("stdbuf", "i:o:e:", "input= output= error=", 0),
    ("su-exec gosu", "", "", 1),
    ("chroot", "", "groups= userspec= skip-chdir", 1),
    ("setsid", "cfw", "ctty fork wait", 0),
    ("ionice", "c:n:t", "class= classdata= ignore", 0),
    ("taskset", "ac", "all-tasks cpu-list", 1),
    ("prlimit", "", "core data fsize memlock nofile nproc rss stack as", 0),
    (
        "setpriv",
        "",
        "clear-groups groups= init-groups keep-groups no-new-privs nnp egid= euid= regid= reuid= rgid= ruid= inh-caps= \
         ambient-caps= bounding-set= securebits= pdeathsig= selinux-label= apparmor-profile=",
        0,
    ),
];

/// Wrappers whose getopt takes the first `--` anywhere, as in `tini flyteadmin -- serve`.
const INITS: &str = "tini tini-static docker-init catatonit";

fn is_one_of(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

fn find(name: &str) -> Option<&'static Wrapper> {
    WRAPPERS.iter().find(|(names, ..)| is_one_of(names, name))
}

/// Removes a wrapper's own words from those after its name, and adds its variables to the run. `None` if it is not a
/// wrapper.
///
/// # Errors
///
/// The reason why its words cannot be told from the program's.
pub(super) fn take_off<'a>(name: &str, words: &mut Vec<Word<'a>>, run: &mut Run<'a>) -> Option<Result<(), String>> {
    let (_, short, long, operands) = find(name)?;
    let is_env = name == "env";
    run.may_end |= name == "timeout";
    let mut own = match read_options(short, long, words, |option, value| match (option, value) {
        ("i" | "ignore-environment", _) if is_env => run.clear(),
        // flyteadmin ignores an empty variable.
        ("u" | "unset", Some((at, name))) if is_env => {
            run.variables.push((name.to_owned(), Word { at, value: Value::known("") }));
        }
        _ => {}
    }) {
        Ok(own) => own,
        Err(option) => {
            return Some(Err(format!(
                "the program `{name}` has the option `{}`, which this policy cannot read",
                Shortened(option)
            )));
        }
    };
    if is_env {
        if words.get(own).is_some_and(|word| word.value.text == "-") {
            run.clear();
            own += 1;
        }
        while let Some(Word { at, value }) = words.get(own)
            && let Some((name, _)) = value.text.split_once('=')
        {
            run.variables.push((name.to_owned(), Word { at: *at, value: value.behind(name.len() + 1) }));
            own += 1;
        }
    }
    let has_ended = own > 0 && words.get(own - 1).is_some_and(|word| word.value.text == "--");
    words.drain(..words.len().min(own + operands));
    if !has_ended
        && is_one_of(INITS, name)
        && let Some(end) = words.iter().position(|word| word.value.text == "--")
    {
        words.remove(end);
    }
    Some(Ok(()))
}

/// The script among a shell's words, and the words after it: `$0`, `$1` and so on. `None` if it is in a file, or if an
/// option is not read.
pub(super) fn find_script<'w, 'a>(words: &'w [Word<'a>]) -> Option<(&'w Word<'a>, &'w [Word<'a>])> {
    const FLAGS: &str = "abefhiklmptuvxBCEHPT";
    let mut is_text = false;
    let mut index = 0;
    loop {
        let word = words.get(index)?;
        let text = &*word.value.text;
        match text {
            "--login" | "--norc" | "--noprofile" | "--posix" => index += 1,
            "--" | "-" => {
                index += 1;
                break;
            }
            _ if text.starts_with(['-', '+']) && word.value.is_known => {
                let valued = text.matches(['o', 'O']).count();
                let is_read = |letter| FLAGS.contains(letter) || matches!(letter, 'c' | 'o' | 'O');
                if !text[1..].chars().all(is_read) {
                    return None;
                }
                is_text |= text.starts_with('-') && text.contains('c');
                index += 1 + valued;
            }
            _ => break,
        }
    }
    let words = words.get(index..)?;
    words.split_first().filter(|_| is_text)
}

/// The number of words that are options, their values, or the `--` that ends them. Passes each option to `each`.
///
/// # Errors
///
/// The unknown option.
fn read_options<'w, 'a>(
    short: &str,
    long: &str,
    words: &'w [Word<'a>],
    mut each: impl FnMut(&str, Option<(At, &str)>),
) -> Result<usize, &'w str> {
    let mut own = 0;
    while let Some(Word { at, value }) = words.get(own) {
        let text = &*value.text;
        let Some(option) = text.strip_prefix('-').filter(|option| !option.is_empty()) else { break };
        if !value.is_known {
            return Err(text);
        }
        own += 1;
        if option == "-" {
            break;
        }
        let next = words.get(own).map(|word| (word.at, &*word.value.text));
        if let Some(option) = option.strip_prefix('-') {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let known = long.split(' ').find(|known| known.trim_end_matches('=') == name).ok_or(text)?;
            if known.ends_with('=') && value.is_none() {
                own += 1;
                each(name, next);
            } else {
                each(name, value.map(|value| (*at, value)));
            }
            continue;
        }
        for (index, letter) in option.char_indices() {
            let (_, behind) = short.split_once(letter).filter(|_| letter != ':').ok_or(text)?;
            let (letter, rest) = option[index..].split_at(letter.len_utf8());
            if !behind.starts_with(':') {
                each(letter, None);
                continue;
            }
            own += usize::from(rest.is_empty());
            each(letter, if rest.is_empty() { next } else { Some((*at, rest)) });
            break;
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrappers_own_words_are_removed() {
        for (words, left, variables, is_cleared) in [
            ("tini -- flyteadmin serve", "flyteadmin serve", "", false),
            ("tini -g -p SIGTERM -e 143 -- flyteadmin serve -- x", "flyteadmin serve -- x", "", false),
            ("tini -vvgpSIGTERM flyteadmin -- serve", "flyteadmin serve", "", false),
            ("catatonit -g flyteadmin serve -- --x -- y", "flyteadmin serve --x -- y", "", false),
            ("dumb-init -c -r 15:3 --rewrite 1:2 --rewrite=3:4 -- flyteadmin", "flyteadmin", "", false),
            ("dumb-init flyteadmin -- serve", "flyteadmin -- serve", "", false),
            ("env A=b C.D=e=f flyteadmin serve", "flyteadmin serve", "A=b C.D=e=f", false),
            ("env -C / -u A -uB --unset=C --unset D -- E= flyteadmin", "flyteadmin", "A= B= C= D= E=", false),
            ("env A=b", "", "A=b", false),
            ("env -i A=b flyteadmin", "flyteadmin", "A=b", true),
            ("env - A=b flyteadmin", "flyteadmin", "A=b", true),
            ("env -vi flyteadmin", "flyteadmin", "", true),
            ("env -u", "", "", false),
            ("nice -n 5 flyteadmin -n 6", "flyteadmin -n 6", "", false),
            ("nice -5 --adjustment=3 flyteadmin", "flyteadmin", "", false),
            ("timeout -k 5 -s 9 10 flyteadmin -s", "flyteadmin -s", "", false),
            ("timeout -- 10 flyteadmin", "flyteadmin", "", false),
            ("timeout 10", "", "", false),
            ("stdbuf -oL -e 0 flyteadmin", "flyteadmin", "", false),
            ("gosu flyte flyteadmin serve", "flyteadmin serve", "", false),
            ("chroot --userspec=1:1 /x flyteadmin", "flyteadmin", "", false),
            ("setpriv --reuid 1 --regid=1 --clear-groups flyteadmin", "flyteadmin", "", false),
            ("prlimit --nofile=9:9 flyteadmin", "flyteadmin", "", false),
            ("exec -a x flyteadmin", "flyteadmin", "", false),
        ] {
            let mut words = words_of(words);
            let name = words.remove(0).value.text.into_owned();
            let mut run = Run::default();
            assert_eq!(take_off(&name, &mut words, &mut run), Some(Ok(())), "{words:?}");
            let texts: Vec<_> = words.iter().map(|word| &*word.value.text).collect();
            let variables_read: Vec<_> =
                run.variables.iter().map(|(name, word)| format!("{name}={}", word.value.text)).collect();
            assert_eq!((texts.join(" "), variables_read.join(" ")), (left.into(), variables.into()), "{name}");
            assert_eq!(run.is_cleared, is_cleared, "{name}");
        }
    }

    #[test]
    fn unknown_options_of_wrappers_are_not_read() {
        for (words, reason) in [
            ("env -S flyteadmin", "the program `env` has the option `-S`, which this policy cannot read"),
            ("env -vS flyteadmin", "the program `env` has the option `-vS`, which this policy cannot read"),
            (
                "tini --verbose flyteadmin",
                "the program `tini` has the option `--verbose`, which this policy cannot read",
            ),
            ("timeout -: 5 flyteadmin", "the program `timeout` has the option `-:`, which this policy cannot read"),
            ("nohup -é flyteadmin", "the program `nohup` has the option `-é`, which this policy cannot read"),
        ] {
            let mut words = words_of(words);
            let name = words.remove(0).value.text.into_owned();
            assert_eq!(take_off(&name, &mut words, &mut Run::default()), Some(Err(reason.to_owned())));
        }
        assert_eq!(take_off("xargs", &mut Vec::new(), &mut Run::default()), None);
    }

    fn words_of(texts: &'static str) -> Vec<Word<'static>> {
        texts.split(' ').map(|text| Word { value: Value::known(text), ..Word::default() }).collect()
    }
}
