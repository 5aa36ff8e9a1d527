//! The shape of a definition: edges that lead nowhere, nodes nobody reaches, cycles no time passes in.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    definition::{Definition, Edge, PORT_OK, TRIGGER},
    nodes::{Node, NodeKind},
    problem::Problem,
};

type Nodes = BTreeMap<String, (&'static dyn NodeKind, Box<dyn Node>)>;

/// Checks edges and reachability. A node that could not be read is not blamed for its ports as well.
pub(super) fn check(definition: &Definition, nodes: &Nodes, problems: &mut Vec<Problem>) {
    let known: Vec<&str> = definition.nodes.iter().map(|node| node.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    for (at, edge) in definition.edges.iter().enumerate() {
        check_ends(at, edge, &known, problems);
        check_port(at, edge, nodes, problems);
        if !seen.insert((&edge.from, edge.port.as_deref().unwrap_or(PORT_OK), &edge.to)) {
            let message = format!("`{}` leads to `{}` twice", edge.from, edge.to);
            problems.push(Problem::new(
                format!("edges[{at}]"),
                "duplicate_edge",
                message,
                "remove one of the two",
            ));
        }
    }
    check_reach(definition, problems);
    check_cycles(definition, nodes, problems);
    check_loops(definition, nodes, problems);
}

fn check_ends(at: usize, edge: &Edge, known: &[&str], problems: &mut Vec<Problem>) {
    let dangling = |end: &str, node: &str, known: &[&str]| {
        let mut problem =
            Problem::unknown(format!("edges[{at}].{end}"), "dangling_edge", "node", node, known);
        problem.message = format!("there is no node `{node}`");
        problem
    };
    if edge.from != TRIGGER && !known.contains(&edge.from.as_str()) {
        problems.push(dangling("from", &edge.from, known));
    }
    if edge.to == TRIGGER {
        let message = "an edge cannot lead back to the trigger";
        problems.push(Problem::new(
            format!("edges[{at}].to"),
            "edge_to_trigger",
            message,
            "lead to a node",
        ));
    } else if !known.contains(&edge.to.as_str()) {
        problems.push(dangling("to", &edge.to, known));
    }
}

fn check_port(at: usize, edge: &Edge, nodes: &Nodes, problems: &mut Vec<Problem>) {
    let port = edge.port.as_deref().unwrap_or(PORT_OK);
    let ports = match nodes.get(&edge.from) {
        _ if edge.from == TRIGGER => vec![PORT_OK.to_owned()],
        Some((kind, node)) => ports_of(*kind, node.as_ref()),
        None => return,
    };
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    if !ports.contains(&port) {
        let mut problem = Problem::unknown(format!("edges[{at}].port"), "bad_port", "port", port, &ports);
        problem.message = format!("`{}` has no port `{port}`", edge.from);
        problems.push(problem);
    }
}

/// Every port of one node: its kind's and those written in its params.
pub(super) fn ports_of(kind: &dyn NodeKind, node: &dyn Node) -> Vec<String> {
    let fixed = kind.ports().iter().map(|port| (*port).to_owned());
    fixed.chain(node.ports()).collect()
}

fn check_reach(definition: &Definition, problems: &mut Vec<Problem>) {
    let behind = behind(definition);
    let reached = reached_from(TRIGGER, &behind);
    if !definition.nodes.is_empty() && reached.is_empty() {
        let message = "no edge leads from the trigger to a node";
        problems.push(Problem::new(
            "edges",
            "nothing_starts",
            message,
            r#"add {"from": "trigger", "to": …}"#,
        ));
        return;
    }
    for (at, node) in definition.nodes.iter().enumerate() {
        if !reached.contains(node.id.as_str()) {
            let message = format!("no way leads from the trigger to `{}`", node.id);
            problems.push(Problem::new(
                format!("nodes[{at}]"),
                "unreachable",
                message,
                "connect or remove it",
            ));
        }
    }
}

/// Reports one cycle for each node that closes one, when no node on it surely takes time.
fn check_cycles(definition: &Definition, nodes: &Nodes, problems: &mut Vec<Problem>) {
    let mut instant = behind(definition);
    let slow = |id: &str| nodes.get(id).is_some_and(|(_, node)| node.takes_time());
    instant.retain(|from, _| !slow(from));
    let mut blamed: BTreeSet<&str> = BTreeSet::new();
    for (at, node) in definition.nodes.iter().enumerate() {
        let id = node.id.as_str();
        let cycle = reached_from(id, &instant);
        if !cycle.contains(id) || blamed.contains(id) {
            continue;
        }
        // The others on the same cycle are reached from here and reach back.
        let members: Vec<&str> = cycle
            .iter()
            .copied()
            .filter(|other| reached_from(other, &instant).contains(id))
            .collect();
        let message = format!("the cycle through {} has no delay", members.join(", "));
        let fix = "put a delay with a fixed `for` into it";
        problems.push(Problem::new(
            format!("nodes[{at}]"),
            "cycle_without_delay",
            message,
            fix,
        ));
        blamed.extend(members);
    }
}

/// A loop goes on by itself: a way from its body back to it would begin it anew inside of itself.
fn check_loops(definition: &Definition, nodes: &Nodes, problems: &mut Vec<Problem>) {
    let behind = behind(definition);
    for (at, edge) in definition.edges.iter().enumerate() {
        if !is_into_body(edge, nodes) {
            continue;
        }
        if edge.to == edge.from || reached_from(&edge.to, &behind).contains(edge.from.as_str()) {
            let message = format!("the body of `{}` leads back to it", edge.from);
            let fix = "end the body with its last node: the loop takes the next item by itself";
            problems.push(Problem::new(format!("edges[{at}]"), "loop_back", message, fix));
        }
    }
}

/// The nodes that are reached only through a loop's body, where `item` and `index` are known.
pub(super) fn in_loops<'a>(definition: &'a Definition, nodes: &Nodes) -> BTreeSet<&'a str> {
    let outside = behind_by(definition, |edge| !is_into_body(edge, nodes));
    let reached_outside = reached_from(TRIGGER, &outside);
    reached_from(TRIGGER, &behind(definition))
        .into_iter()
        .filter(|node| !reached_outside.contains(node))
        .collect()
}

/// The loops through whose bodies every way to `node` leads.
pub(super) fn loops_around<'a>(
    definition: &'a Definition,
    node: &str,
    is_into_body: impl Fn(&Edge) -> bool,
) -> BTreeSet<&'a str> {
    let bodies = definition.edges.iter().filter(|edge| is_into_body(edge));
    let mut loops: BTreeSet<&str> = bodies.map(|edge| edge.from.as_str()).collect();
    loops.retain(|owner| {
        let beside = behind_by(definition, |edge| edge.from != *owner || !is_into_body(edge));
        !reached_from(TRIGGER, &beside).contains(node)
    });
    loops
}

/// For each merge, the nodes from which a token can come to it without entering a loop's body on the way.
pub(super) fn leading_to_merges(
    definition: &Definition,
    nodes: &Nodes,
) -> BTreeMap<String, BTreeSet<String>> {
    let behind = behind_by(definition, |edge| !is_into_body(edge, nodes));
    let merges = || {
        let all = definition.nodes.iter();
        all.filter(|node| {
            nodes
                .get(&node.id)
                .is_some_and(|(_, read)| read.merge().is_some())
        })
    };
    let mut leading: BTreeMap<String, BTreeSet<String>> = merges()
        .map(|merge| (merge.id.clone(), BTreeSet::new()))
        .collect();
    if leading.is_empty() {
        return leading;
    }
    for node in &definition.nodes {
        for reached in reached_from(&node.id, &behind) {
            if let Some(from) = leading.get_mut(reached) {
                from.insert(node.id.clone());
            }
        }
    }
    leading
}

fn is_into_body(edge: &Edge, nodes: &Nodes) -> bool {
    nodes
        .get(&edge.from)
        .and_then(|(kind, _)| kind.body_port())
        .is_some_and(|body| edge.port.as_deref() == Some(body))
}

/// For every node, the nodes a run may have been through before it.
pub(super) fn upstream(definition: &Definition) -> BTreeMap<&str, BTreeSet<&str>> {
    let behind = behind(definition);
    let mut upstream: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in &definition.nodes {
        for reached in reached_from(&node.id, &behind) {
            upstream.entry(reached).or_default().insert(&node.id);
        }
    }
    upstream
}

fn behind(definition: &Definition) -> BTreeMap<&str, Vec<&str>> {
    behind_by(definition, |_| true)
}

/// The nodes right behind each node, by the edges that count.
fn behind_by(definition: &Definition, counts: impl Fn(&Edge) -> bool) -> BTreeMap<&str, Vec<&str>> {
    let known: BTreeSet<&str> = definition.nodes.iter().map(|node| node.id.as_str()).collect();
    let mut behind: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in definition
        .edges
        .iter()
        .filter(|edge| known.contains(edge.to.as_str()) && counts(edge))
    {
        behind.entry(&edge.from).or_default().push(&edge.to);
    }
    behind
}

/// What is reached from `start` by one edge or more.
fn reached_from<'a>(start: &str, behind: &BTreeMap<&str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&'a str> = behind.get(start).cloned().unwrap_or_default();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(behind.get(node).into_iter().flatten().copied());
        }
    }
    reached
}
