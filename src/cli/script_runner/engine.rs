//! Runs one script: JavaScript without anything outside of it.
//!
//! In: a job. Out: its answer. A script sees its input, a clock that stands still and random numbers drawn from the job's seed,
//! so the same job always gives the same answer. Memory, stack and time are bounded; there is no module, file, network or timer.

use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Runtime, Value as JsValue, context::EvalOptions};
use serde_json::Value;

use crate::integrations::script::wire::{Answer, Job, ScriptFailure, ScriptFailureKind, Task};

/// Most memory of one script, in bytes.
const MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most stack of one script, in bytes.
const STACK_BYTES_MAX: usize = 256 * 1024;
/// Longest result, in bytes of JSON.
const RESULT_BYTES_MAX: usize = 32 * 1024;
/// What stands before the script on the first line of what is run, so that its own lines are known: none.
const OPENING: &str = "(function () {\n";
/// Lines that `OPENING` takes.
const OPENING_LINES: u32 = 1;

/// Makes the clock stand still, the random numbers repeatable, and takes away what could wait or measure.
const PRELUDE: &str = r#"(function (now, seed) {
    const Real = Date;
    const Fixed = function Date(...parts) {
        if (!new.target) { return new Real(now).toString(); }
        return parts.length === 0 ? new Real(now) : new Real(...parts);
    };
    Fixed.prototype = Real.prototype;
    Object.defineProperty(Real.prototype, "constructor", { value: Fixed, writable: true, configurable: true });
    Fixed.now = () => now;
    Fixed.parse = Real.parse;
    Fixed.UTC = Real.UTC;
    globalThis.Date = Fixed;
    let state = seed >>> 0;
    Math.random = () => {
        state = (state + 0x6D2B79F5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
    for (const name of ["performance", "Atomics", "SharedArrayBuffer", "WeakRef", "FinalizationRegistry"]) {
        delete globalThis[name];
    }
})"#;

/// Does a job to its end, or to one of its limits.
#[must_use]
pub fn run(job: &Job) -> Answer {
    let deadline = Instant::now() + Duration::from_millis(job.timeout_ms);
    match evaluate(job, deadline) {
        Ok(value) => Answer::Returned(value),
        // Whatever the engine says when it was stopped, being too late is why.
        Err(_) if Instant::now() >= deadline => {
            let message = format!("the script ran longer than {} ms", job.timeout_ms);
            Answer::Failed(failure(ScriptFailureKind::TimedOut, message))
        }
        Err(failure) => Answer::Failed(failure),
    }
}

fn evaluate(job: &Job, deadline: Instant) -> Result<Value, ScriptFailure> {
    let no_room = |_| {
        failure(
            ScriptFailureKind::OutOfMemory,
            "there is no memory for the script",
        )
    };
    let runtime = Runtime::new().map_err(no_room)?;
    runtime.set_memory_limit(MEMORY_BYTES_MAX);
    runtime.set_max_stack_size(STACK_BYTES_MAX);
    runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() >= deadline)));
    let context = Context::full(&runtime).map_err(no_room)?;
    context.with(|ctx| {
        prepare(&ctx, job).catch(&ctx).map_err(|error| explain(&error))?;
        let mut options = EvalOptions::default();
        options.filename = Some("script".to_owned());
        let function = format!("{OPENING}{}\n}})", job.code);
        let source = match job.task {
            Task::Run => function + "()",
            // A function that nobody calls: it is read, and nothing else.
            Task::Check => function + "; null",
        };
        let returned = ctx
            .eval_with_options::<JsValue<'_>, _>(source, options)
            .catch(&ctx)
            .map_err(|error| explain(&error))?;
        result_of(&ctx, returned)
    })
}

/// Puts the input in place, then the clock and the random numbers, which scripts cannot look behind.
fn prepare(ctx: &Ctx<'_>, job: &Job) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    for (name, value) in job.input.as_object().into_iter().flatten() {
        globals.set(name.as_str(), ctx.json_parse(value.to_string())?)?;
    }
    let prelude: rquickjs::Function<'_> = ctx.eval(PRELUDE)?;
    // Milliseconds are far below what a double holds exactly.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a moment in milliseconds needs 43 bits"
    )]
    let now = job.now_ms as f64;
    prelude.call((now, job.seed))
}

fn result_of<'js>(ctx: &Ctx<'js>, returned: JsValue<'js>) -> Result<Value, ScriptFailure> {
    if returned.is_promise() {
        let message = "the script returned a promise: return the value itself";
        return Err(failure(ScriptFailureKind::BadResult, message));
    }
    if returned.is_undefined() {
        return Ok(Value::Null);
    }
    let text = ctx
        .json_stringify(returned)
        .catch(ctx)
        .map_err(|error| explain(&error))?
        .and_then(|text| text.to_string().ok());
    let Some(text) = text else {
        let message = "what the script returned is no JSON";
        return Err(failure(ScriptFailureKind::BadResult, message));
    };
    if text.len() > RESULT_BYTES_MAX {
        let message = format!(
            "the result has {} bytes, more than {RESULT_BYTES_MAX}",
            text.len()
        );
        return Err(failure(ScriptFailureKind::BadResult, message));
    }
    serde_json::from_str(&text).map_err(|error| {
        failure(
            ScriptFailureKind::BadResult,
            format!("the result is no JSON: {error}"),
        )
    })
}

fn explain(error: &CaughtError<'_>) -> ScriptFailure {
    let CaughtError::Exception(exception) = error else {
        return match error {
            CaughtError::Value(thrown) => {
                let text = thrown.as_string().and_then(|text| text.to_string().ok());
                let message =
                    text.unwrap_or_else(|| "the script threw something that is no error".to_owned());
                failure(ScriptFailureKind::Thrown, message)
            }
            _ => failure(ScriptFailureKind::Thrown, error.to_string()),
        };
    };
    let message = exception.message().unwrap_or_default();
    let name: String = exception.as_object().get("name").unwrap_or_default();
    let kind = match name.as_str() {
        "SyntaxError" => ScriptFailureKind::Syntax,
        _ if message.contains("out of memory") => ScriptFailureKind::OutOfMemory,
        _ => ScriptFailureKind::Thrown,
    };
    let (line, column) = exception.stack().as_deref().map(place_of).unwrap_or_default();
    let said = if name.is_empty() {
        message
    } else {
        format!("{name}: {message}")
    };
    ScriptFailure {
        kind,
        message: match line {
            Some(line) => format!("line {line}: {said}"),
            None => said,
        },
        line,
        column,
    }
}

/// The script's line and column in a stack like `at <anonymous> (script:3:5)`.
fn place_of(stack: &str) -> (Option<u32>, Option<u32>) {
    let Some((_, rest)) = stack.split_once("script:") else {
        return (None, None);
    };
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let line = numbers.next().and_then(Result::ok);
    let line = line
        .and_then(|line| line.checked_sub(OPENING_LINES))
        .filter(|line| *line > 0);
    let column = numbers.next().and_then(Result::ok).filter(|_| line.is_some());
    (line, column)
}

fn failure(kind: ScriptFailureKind, message: impl Into<String>) -> ScriptFailure {
    ScriptFailure {
        kind,
        message: message.into(),
        line: None,
        column: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(code: &str) -> Job {
        Job {
            task: Task::Run,
            code: code.to_owned(),
            input: json!({"lead": {"score": 42, "name": "Ada"}, "steps": {}}),
            timeout_ms: 2_000,
            now_ms: 1_795_338_000_000,
            seed: 7,
        }
    }

    fn failed(code: &str) -> ScriptFailure {
        match run(&job(code)) {
            Answer::Failed(failure) => failure,
            Answer::Returned(value) => panic!("{code} gave {value}"),
        }
    }

    fn returned(code: &str) -> Value {
        match run(&job(code)) {
            Answer::Returned(value) => value,
            Answer::Failed(failure) => panic!("{code}: {failure:?}"),
        }
    }

    #[test]
    fn a_script_gives_what_it_returns() {
        assert_eq!(
            returned("return { next: lead.score + 1, who: lead.name };"),
            json!({"next": 43, "who": "Ada"})
        );
        assert_eq!(
            returned("return [1, null, 'a\\u2028b'];"),
            json!([1, null, "a\u{2028}b"])
        );
        assert_eq!(returned("const x = 1;"), Value::Null);
    }

    #[test]
    fn the_same_job_gives_the_same_answer_and_the_clock_stands_still() {
        let code = "return [Math.random(), Math.random(), Date.now(), new Date().toISOString(), new Date(0).getTime(), \
            new Date().constructor.now(), Object.getPrototypeOf(Date) === Function.prototype];";
        let first = returned(code);
        assert_eq!(first, returned(code));
        assert_eq!(first[2], json!(1_795_338_000_000_u64));
        assert_eq!(first[3], "2026-11-22T09:00:00.000Z");
        assert_eq!(first[4], 0);
        assert_eq!(first[5], first[2]);
        assert_eq!(first[6], true);
        assert_ne!(first[0], first[1]);
        let other = run(&Job { seed: 8, ..job(code) });
        assert_ne!(Answer::Returned(first), other);
    }

    #[test]
    fn failures_name_their_line() {
        let thrown = failed("const a = 1;\nconst b = null;\nreturn b.c;");
        assert_eq!(
            (thrown.kind, thrown.line),
            (ScriptFailureKind::Thrown, Some(3)),
            "{thrown:?}"
        );
        let unread = failed("const a = 1;\nreturn a +* 2;");
        assert_eq!(
            (unread.kind, unread.line),
            (ScriptFailureKind::Syntax, Some(2)),
            "{unread:?}"
        );
        assert!(failed("return nothing;").message.contains("nothing"));
        assert_eq!(failed("throw 'plain';").message, "plain");
    }

    #[test]
    fn a_check_reads_a_script_without_running_it_and_tells_where_it_is_wrong() {
        let check = |code: &str| {
            run(&Job {
                task: Task::Check,
                ..job(code)
            })
        };
        for fine in ["for (;;) {}", "return nothing_there;", "// nothing", "throw 1;"] {
            assert_eq!(check(fine), Answer::Returned(Value::Null), "{fine}");
        }
        for (wrong, line) in [
            ("const a = 1;\nreturn a +* 2;", Some(2)),
            ("return (1;", Some(1)),
            ("if (lead.score > 3) {", None),
            ("await later();", Some(1)),
        ] {
            let Answer::Failed(failure) = check(wrong) else {
                panic!("{wrong}")
            };
            assert_eq!(failure.kind, ScriptFailureKind::Syntax, "{wrong}: {failure:?}");
            assert!(line.is_none() || failure.line == line, "{wrong}: {failure:?}");
            assert!(
                failure.line.is_none() || failure.column.is_some(),
                "{wrong}: {failure:?}"
            );
        }
        let Answer::Failed(failure) = check("const a = 1;\nreturn a +* 2;") else {
            panic!("it is wrong")
        };
        assert_eq!((failure.line, failure.column), (Some(2), Some(11)), "{failure:?}");
    }

    #[test]
    fn nothing_outside_is_there() {
        for name in [
            "require",
            "process",
            "fetch",
            "setTimeout",
            "std",
            "os",
            "performance",
            "Atomics",
            "WebAssembly",
            "XMLHttpRequest",
        ] {
            assert_eq!(returned(&format!("return typeof {name};")), "undefined", "{name}");
        }
        assert_eq!(failed("return import('std');").kind, ScriptFailureKind::BadResult);
    }

    #[test]
    fn memory_time_stack_and_result_are_bounded() {
        let short = |code: &str| {
            run(&Job {
                timeout_ms: 100,
                ..job(code)
            })
        };
        for endless in [
            "while (true) {}",
            "try { while (true) {} } catch (e) {} return 1;",
            "return { toJSON() { for (;;) {} } };",
        ] {
            let Answer::Failed(failure) = short(endless) else {
                panic!("{endless}")
            };
            assert_eq!(
                failure.kind,
                ScriptFailureKind::TimedOut,
                "{endless}: {failure:?}"
            );
        }
        assert_eq!(
            failed("const a = []; while (true) { a.push('x'.repeat(100000) + a.length); }").kind,
            ScriptFailureKind::OutOfMemory
        );
        assert_eq!(
            failed("function f() { return f() + 1; } return f();").kind,
            ScriptFailureKind::Thrown
        );
        assert_eq!(
            failed("return 'x'.repeat(40000);").kind,
            ScriptFailureKind::BadResult
        );
        assert_eq!(
            failed("return Promise.resolve(1);").kind,
            ScriptFailureKind::BadResult
        );
        assert_eq!(failed("return () => 1;").kind, ScriptFailureKind::BadResult);
    }
}
