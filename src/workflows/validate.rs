//! Everything that is wrong with a definition, at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    calendar,
    definition::{Definition, NodeDefinition},
    graph,
    nodes::{self, Node, NodeKind, SourceKind},
    problem::Problem,
    retry::ATTEMPTS_MAX,
    schemas, trigger, variables,
};

/// Most nodes a workflow may have.
pub const NODES_MAX: usize = 500;
/// Most edges a workflow may have.
pub const EDGES_MAX: usize = 2_000;
/// Longest id of a node: it is part of effect keys.
const NODE_ID_CHARS_MAX: usize = 64;
/// Longest name of a workflow.
const NAME_CHARS_MAX: usize = 200;

/// A definition after its check.
pub(super) struct Checked {
    /// The nodes that could be read, by id.
    pub nodes: BTreeMap<String, (&'static dyn NodeKind, Box<dyn Node>)>,
    /// Nodes whose output some expression reads.
    pub read_steps: BTreeSet<String>,
    pub problems: Vec<Problem>,
}

/// Returns every problem of a definition; none means it can run.
#[must_use]
pub fn validate(definition: &Definition) -> Vec<Problem> {
    check(definition).problems
}

pub(super) fn check(definition: &Definition) -> Checked {
    let mut problems = Vec::new();
    check_whole(definition, &mut problems);
    trigger::check(&definition.trigger, &mut problems);
    check_settings(definition, &mut problems);
    check_ids(definition, &mut problems);
    let mut nodes = BTreeMap::new();
    for (at, written) in definition.nodes.iter().enumerate() {
        if let Some(read) = read_node(at, written, &mut problems) {
            nodes.entry(written.id.clone()).or_insert(read);
        }
    }
    graph::check(definition, &nodes, &mut problems);
    let read_steps = check_expressions(definition, &nodes, &mut problems);
    Checked {
        nodes,
        read_steps,
        problems,
    }
}

fn check_whole(definition: &Definition, problems: &mut Vec<Problem>) {
    let name_length = definition.name.trim().chars().count();
    if name_length == 0 || name_length > NAME_CHARS_MAX {
        let message = format!("the name has {name_length} characters");
        problems.push(Problem::new(
            "name",
            "bad_name",
            message,
            format!("use 1 to {NAME_CHARS_MAX}"),
        ));
    }
    let counts = [
        ("nodes", definition.nodes.len(), NODES_MAX),
        ("edges", definition.edges.len(), EDGES_MAX),
    ];
    for (what, count, max) in counts {
        if count > max {
            let message = format!("{count} {what} are more than {max}");
            problems.push(Problem::new(what, "too_many", message, "split the workflow"));
        }
    }
    if definition.nodes.is_empty() {
        problems.push(Problem::new(
            "nodes",
            "no_nodes",
            "the workflow does nothing",
            "add a node behind the trigger",
        ));
    }
}

fn check_settings(definition: &Definition, problems: &mut Vec<Problem>) {
    let settings = &definition.settings;
    if let Some(zone) = settings
        .timezone
        .as_deref()
        .filter(|zone| calendar::zone(zone).is_none())
    {
        let message = format!("`{zone}` is not an IANA time zone");
        problems.push(Problem::new(
            "settings.timezone",
            "bad_timezone",
            message,
            "write it like America/New_York",
        ));
    }
    if settings
        .quiet_hours
        .is_some_and(|hours| hours.from == hours.until)
    {
        let message = "quiet hours begin and end at the same time";
        problems.push(Problem::new(
            "settings.quiet_hours",
            "bad_quiet_hours",
            message,
            "leave them out or widen them",
        ));
    }
    for (at, kind) in settings.goal.iter().enumerate() {
        problems.extend(trigger::check_event(&format!("settings.goal[{at}]"), kind));
    }
    for (at, kind) in settings.exit_on.iter().enumerate() {
        problems.extend(trigger::check_event(&format!("settings.exit_on[{at}]"), kind));
    }
}

fn check_ids(definition: &Definition, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (at, node) in definition.nodes.iter().enumerate() {
        let path = format!("nodes[{at}].id");
        let well_formed = node.id.len() <= NODE_ID_CHARS_MAX
            && node.id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && node.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !well_formed {
            let message = format!("`{}` is not a node id", node.id);
            let fix = format!(
                "use letters, digits and `_`, at most {NODE_ID_CHARS_MAX}, so that steps.<id>.output works"
            );
            problems.push(Problem::new(&path, "bad_id", message, fix));
        } else if node.id == super::definition::TRIGGER {
            problems.push(Problem::new(
                &path,
                "bad_id",
                "`trigger` is where runs start",
                "name the node otherwise",
            ));
        }
        if !seen.insert(&node.id) {
            let message = format!("`{}` is used twice", node.id);
            problems.push(Problem::new(
                &path,
                "duplicate_id",
                message,
                "give each node its own id",
            ));
        }
    }
}

fn read_node(
    at: usize,
    written: &NodeDefinition,
    problems: &mut Vec<Problem>,
) -> Option<(&'static dyn NodeKind, Box<dyn Node>)> {
    check_retry(at, written, problems);
    let Some(kind) = nodes::kind(&written.kind) else {
        let path = format!("nodes[{at}].type");
        problems.push(Problem::unknown(
            path,
            "unknown_node_type",
            "node type",
            &written.kind,
            &nodes::names(),
        ));
        return None;
    };
    let params = Value::Object(written.params.clone());
    let mut of_params = schemas::check(kind, &params);
    if of_params.is_empty() {
        match kind.parse(&written.params) {
            Ok(node) => return Some((kind, node)),
            Err(found) => of_params = found,
        }
    }
    problems.extend(of_params.into_iter().map(|problem| {
        let dot = if problem.path.is_empty() || problem.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Problem {
            path: format!("nodes[{at}].params{dot}{}", problem.path),
            ..problem
        }
    }));
    None
}

fn check_retry(at: usize, written: &NodeDefinition, problems: &mut Vec<Problem>) {
    let Some(retry) = &written.retry else { return };
    let mut refuse = |field: &str, message: String, fix: &str| {
        problems.push(Problem::new(
            format!("nodes[{at}].retry.{field}"),
            "bad_retry",
            message,
            fix,
        ));
    };
    if retry.max_attempts == 0 || retry.max_attempts > ATTEMPTS_MAX {
        refuse(
            "max_attempts",
            format!("{} attempts", retry.max_attempts),
            "use 1 to 20",
        );
    }
    if !(1.0..=10.0).contains(&retry.backoff) {
        refuse(
            "backoff",
            format!("a back-off of {}", retry.backoff),
            "use 1 to 10",
        );
    }
    if retry.initial_interval.is_zero() {
        refuse(
            "initial_interval",
            "no wait between attempts".to_owned(),
            "use at least 1ms",
        );
    }
    if retry.max_interval < retry.initial_interval {
        refuse(
            "max_interval",
            "shorter than `initial_interval`".to_owned(),
            "make it at least as long",
        );
    }
}

/// Checks every expression. Returns the nodes whose output is read.
fn check_expressions(
    definition: &Definition,
    nodes: &BTreeMap<String, (&'static dyn NodeKind, Box<dyn Node>)>,
    problems: &mut Vec<Problem>,
) -> BTreeSet<String> {
    let upstream = graph::upstream(definition);
    let in_loops = graph::in_loops(definition, nodes);
    let known: Vec<&str> = definition.nodes.iter().map(|node| node.id.as_str()).collect();
    let mut read_steps = BTreeSet::new();
    if let Some(filter) = &definition.trigger.filter {
        let place = variables::Place {
            node: None,
            upstream: &BTreeSet::new(),
            known: &known,
            in_loop: false,
        };
        variables::check(
            "trigger.filter",
            SourceKind::Condition,
            filter,
            &place,
            &mut read_steps,
            problems,
        );
    }
    for (at, written) in definition.nodes.iter().enumerate() {
        let Some((_, node)) = nodes.get(&written.id) else {
            continue;
        };
        let none = BTreeSet::new();
        let upstream = upstream.get(written.id.as_str()).unwrap_or(&none);
        let place = variables::Place {
            node: Some(&written.id),
            upstream,
            known: &known,
            in_loop: in_loops.contains(written.id.as_str()),
        };
        for source in node.sources() {
            let path = format!("nodes[{at}].params.{}", source.path);
            variables::check(&path, source.kind, source.text, &place, &mut read_steps, problems);
        }
    }
    read_steps
}
