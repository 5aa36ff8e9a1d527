//! Holds the house rules that a compiler does not know: who may import whom, how large things grow, what is never written.
//!
//! In: the repository's Rust files as text. Out: one failing test per rule, with every place that breaks it. Each rule is
//! also shown a sample that breaks it, so that a rule which sees nothing is itself a failure.

mod source;

use std::{collections::BTreeMap, fs};

use self::source::{Source, blank_comments_and_literals, is_word, line_of, places, root, sources};

/// What each top-level module may import of ours. `docs/architecture.md` says why.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("telemetry", &["domain", "clock"]),
    ("clock", &["domain"]),
    ("master_key", &["domain"]),
    ("media", &["domain"]),
    ("analysis", &["domain"]),
    ("workflows", &["domain"]),
    ("bus", &["domain"]),
    ("store", &["domain", "workflows"]),
    // An integration keeps what it sends (`store`) and dates it (`clock`).
    (
        "integrations",
        &["domain", "telemetry", "clock", "workflows", "store"],
    ),
    (
        "actors",
        &[
            "domain",
            "telemetry",
            "clock",
            "media",
            "analysis",
            "workflows",
            "bus",
            "store",
            "integrations",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "telemetry",
            "clock",
            "workflows",
            "bus",
            "store",
            "integrations",
            "actors",
        ],
    ),
];
/// Modules that tie everything together and so may import everything.
const ROOTS: &[&str] = &["app", "cli", "config", "main", "lib"];
/// Modules without network, clock, async, or disk (but for the model file).
const PURE: &[&str] = &["domain", "media", "analysis", "workflows"];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

fn top_level_names(after_crate: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| is_word(*c))
            .collect::<String>()
    };
    if !after_crate.starts_with('{') {
        return vec![name(after_crate)];
    }
    let mut names = vec![name(&after_crate[1..])];
    let mut depth = 0;
    for (at, c) in after_crate.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&after_crate[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|found| !found.is_empty());
    names
}

fn forbidden_imports(source: &Source) -> Vec<String> {
    let Some(module) = source.module() else {
        return Vec::new();
    };
    if ROOTS.contains(&module) {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{}: module `{module}` is not in the table of docs/architecture.md",
            source.path
        )];
    };
    let known: Vec<&str> = MAY_IMPORT
        .iter()
        .map(|(name, _)| *name)
        .chain(ROOTS.iter().copied())
        .collect();
    places(&source.code, "crate::")
        .into_iter()
        .flat_map(|at| {
            let line = line_of(&source.code, at);
            top_level_names(&source.code[at + "crate::".len()..])
                .into_iter()
                .map(move |name| (line, name))
        })
        .filter(|(_, name)| name != module && known.contains(&name.as_str()))
        .filter(|(_, name)| !allowed.contains(&name.as_str()))
        .map(|(line, name)| format!("{}:{line}: `{module}` may not import `{name}`", source.path))
        .collect()
}

fn impure(source: &Source) -> Vec<String> {
    if !source.module().is_some_and(|module| PURE.contains(&module)) {
        return Vec::new();
    }
    [
        "tokio::",
        "reqwest::",
        "axum::",
        "ractor::",
        "Instant::now",
        "async fn",
        "std::net",
    ]
    .iter()
    .flat_map(|word| {
        places(source.code_before_tests(), word)
            .into_iter()
            .map(move |at| (word, at))
    })
    .map(|(word, at)| {
        format!(
            "{}:{}: `{word}` in pure code",
            source.path,
            line_of(&source.code, at)
        )
    })
    .collect()
}

fn out_of_place(source: &Source) -> Vec<String> {
    let one_home: &[(&str, &[&str])] = &[
        ("SystemTime::now", &["src/clock.rs"]),
        ("Zoned::now", &["src/clock.rs"]),
        ("jiff::Timestamp::now", &["src/clock.rs"]),
        ("rusqlite::", &["src/store/"]),
    ];
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    one_home
        .iter()
        .filter(|(_, homes)| !homes.iter().any(|home| source.path.starts_with(home)))
        .flat_map(|(word, homes)| {
            places(source.code_before_tests(), word)
                .into_iter()
                .map(move |at| (word, homes, at))
        })
        .map(|(word, homes, at)| {
            format!(
                "{}:{}: `{word}` belongs to {}",
                source.path,
                line_of(&source.code, at),
                homes.join(", ")
            )
        })
        .collect()
}

fn oversized_file(source: &Source) -> Vec<String> {
    let lines = source.code_before_tests().lines().count();
    if source.is_test_file() || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![format!(
        "{}: {lines} lines before its tests; which two things is it?",
        source.path
    )]
}

/// Tests are exempt: one that tells a long story from top to bottom is easier to read than one in pieces.
fn oversized_functions(source: &Source) -> Vec<String> {
    if source.is_test_file() {
        return Vec::new();
    }
    places(source.code_before_tests(), "fn")
        .into_iter()
        .filter_map(|at| {
            let name: String = source.code[at + 2..]
                .trim_start()
                .chars()
                .take_while(|c| is_word(*c))
                .collect();
            let lines = function_lines(&source.code[at..])?;
            (!name.is_empty() && lines > FUNCTION_LINES_MAX).then(|| {
                format!(
                    "{}:{}: fn {name} has {lines} lines",
                    source.path,
                    line_of(&source.code, at)
                )
            })
        })
        .collect()
}

/// Lines from `fn` to its closing brace; `None` for a declaration without a body.
fn function_lines(from_fn: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut nested = 0_usize;
    for (at, c) in from_fn.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested = nested.saturating_sub(1),
            ';' if depth == 0 && nested == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(from_fn[..at].matches('\n').count() + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn missing_header(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{}: does not open with a `//!` header", source.path)]
}

fn logic_in_mod(source: &Source) -> Vec<String> {
    if !source.path.ends_with("/mod.rs") || source.is_test_file() {
        return Vec::new();
    }
    let code = source.code_before_tests();
    places(code, "fn")
        .into_iter()
        .filter(|at| function_lines(&code[*at..]).is_some())
        .map(|at| {
            format!(
                "{}:{}: a function in a table of contents",
                source.path,
                line_of(code, at)
            )
        })
        .collect()
}

fn empty_name(source: &Source) -> Vec<String> {
    let banned = ["utils", "util", "helpers", "helper", "common", "misc", "manager"];
    source
        .path
        .split('/')
        .map(|part| part.trim_end_matches(".rs"))
        .filter(|part| banned.contains(part))
        .map(|part| format!("{}: `{part}` names nothing", source.path))
        .collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    // A test that is left to a script says so: `#[ignore = "…"]`.
    let in_code = ["todo!", "unimplemented!", "#[ignore]", "dbg!"];
    let marks = ["TO\u{44}O", "FIX\u{4d}E", "XX\u{58}"];
    let code = in_code.iter().flat_map(|word| {
        source
            .code
            .match_indices(word)
            .map(move |(at, _)| (*word, line_of(&source.code, at)))
    });
    let text = marks.iter().flat_map(|word| {
        places(&source.text, word)
            .into_iter()
            .map(move |at| (*word, line_of(&source.text, at)))
    });
    code.chain(text)
        .map(|(word, line)| format!("{}:{line}: {word}", source.path))
        .collect()
}

fn sleeping_tests(source: &Source) -> Vec<String> {
    let code = if source.is_test_file() {
        source.code.as_str()
    } else {
        &source.code[source.code_before_tests().len()..]
    };
    let offset = source.code.len() - code.len();
    places(code, "sleep(")
        .into_iter()
        .filter(|at| !code[..*at].ends_with("fn ") && !is_virtual(&code[..*at]))
        .map(|at| {
            format!(
                "{}:{}: wait for the fact instead",
                source.path,
                line_of(&source.code, offset + at)
            )
        })
        .collect()
}

/// Whether the last test that begins in `before` runs on a paused clock, where a sleep takes no time.
fn is_virtual(before: &str) -> bool {
    before
        .rfind("::test")
        .is_some_and(|at| before[at..].starts_with("::test(start_paused = true"))
}

fn unwraps(source: &Source) -> Vec<String> {
    source
        .code
        .match_indices(".unwrap()")
        .map(|(at, _)| format!("{}:{}: unwrap", source.path, line_of(&source.code, at)))
        .collect()
}

/// Runs `rule` over the repository and over a sample that breaks it.
fn hold(rule: fn(&Source) -> Vec<String>, sample_path: &str, sample: &str) {
    assert!(
        !rule(&Source::new(sample_path, sample)).is_empty(),
        "the rule does not see its own sample"
    );
    let broken: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(
        broken.is_empty(),
        "{} places break the rule:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn imports_point_down_the_table() {
    hold(
        forbidden_imports,
        "src/domain/x.rs",
        "//! x\nuse crate::{\n    domain::{a, b},\n    store::Store,\n};\n",
    );
    let fine = Source::new(
        "src/store/x.rs",
        "use crate::{domain::{store, x}, workflows::y};\n// crate::http::z\n",
    );
    assert_eq!(forbidden_imports(&fine), Vec::<String>::new());
}

#[test]
fn the_table_has_no_ring() {
    let table: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut settled: Vec<&str> = Vec::new();
    while settled.len() < table.len() {
        let next: Vec<&str> = table
            .iter()
            .filter(|(name, below)| !settled.contains(name) && below.iter().all(|b| settled.contains(b)))
            .map(|(name, _)| *name)
            .collect();
        assert!(!next.is_empty(), "a ring among the modules not in {settled:?}");
        settled.extend(next);
    }
}

#[test]
fn the_page_shows_the_table() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("the page is there");
    for (module, below) in MAY_IMPORT {
        let names: Vec<String> = below.iter().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() {
            "nothing of ours".to_owned()
        } else {
            names.join(", ")
        };
        let row = format!("| `{module}` | {names} |");
        assert!(page.contains(&row), "docs/architecture.md lacks the row\n{row}");
    }
}

#[test]
fn pure_code_is_pure() {
    hold(
        impure,
        "src/workflows/x.rs",
        "//! x\nasync fn wait() { tokio::time::x() }\n",
    );
}

#[test]
fn clocks_and_sql_have_one_home() {
    hold(
        out_of_place,
        "src/actors/x.rs",
        "//! x\nfn f() { std::time::SystemTime::now(); }\n",
    );
}

#[test]
fn files_stay_small() {
    hold(
        oversized_file,
        "src/domain/x.rs",
        &"x\n".repeat(FILE_LINES_MAX + 1),
    );
}

#[test]
fn functions_stay_small() {
    let long = format!(
        "//! x\nfn long() {{\n{}}}\n",
        "    f();\n".repeat(FUNCTION_LINES_MAX)
    );
    hold(oversized_functions, "src/domain/x.rs", &long);
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(missing_header, "src/domain/x.rs", "use std::fmt;\n");
}

#[test]
fn tables_of_contents_hold_no_logic() {
    hold(
        logic_in_mod,
        "src/domain/mod.rs",
        "//! x\npub mod y;\npub fn f() -> u8 {\n    1\n}\n",
    );
}

#[test]
fn every_name_says_something() {
    hold(empty_name, "src/http/utils.rs", "//! x\n");
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    hold(
        unfinished,
        "src/domain/x.rs",
        "//! x\n#[ignore]\nfn f() { todo!() }\n",
    );
}

#[test]
fn tests_wait_for_facts() {
    hold(
        sleeping_tests,
        "tests/it/x.rs",
        "//! x\nfn f() { std::thread::sleep(x) }\n",
    );
    hold(
        sleeping_tests,
        "src/bus/x.rs",
        "//! x\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n fn g() { sleep(1) } }\n",
    );
}

#[test]
fn nothing_unwraps() {
    hold(unwraps, "src/domain/x.rs", "//! x\nfn f() { x.unwrap(); }\n");
}

#[test]
fn literals_and_comments_do_not_count() {
    let text = "let a = \"crate::store\"; // crate::http\nlet b = r#\"\"crate::http\"\"#; let c = '\"'; /* fn /* x */ */ let d: &'a str;\n";
    let code = blank_comments_and_literals(text);
    assert!(!code.contains("crate::") && !code.contains("fn"), "{code}");
    assert!(code.contains("let d: &'a str;"), "{code}");
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
}
