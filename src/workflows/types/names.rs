//! Names in a syntax tree: what an expression reads, and what a template gives a value itself.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{Expr, Stmt};

/// `lead.score` for such an expression; `None` when it does not begin with a name.
pub(super) fn path_of(expression: &Expr<'_>) -> Option<String> {
    match expression {
        Expr::Var(variable) => Some(variable.id.to_owned()),
        Expr::GetAttr(attribute) => Some(format!("{}.{}", path_of(&attribute.expr)?, attribute.name)),
        _ => None,
    }
}

/// Names that the template itself gives a value.
pub(super) fn names_set(statements: &[Stmt<'_>], names: &mut BTreeSet<String>) {
    for statement in statements {
        match statement {
            Stmt::ForLoop(walk) => {
                name_of(&walk.target, names);
                names_set(&walk.body, names);
                names_set(&walk.else_body, names);
            }
            Stmt::IfCond(choice) => {
                names_set(&choice.true_body, names);
                names_set(&choice.false_body, names);
            }
            Stmt::WithBlock(block) => {
                for (target, _) in &block.assignments {
                    name_of(target, names);
                }
                names_set(&block.body, names);
            }
            Stmt::Set(set) => name_of(&set.target, names),
            Stmt::SetBlock(block) => {
                name_of(&block.target, names);
                names_set(&block.body, names);
            }
            Stmt::AutoEscape(block) => names_set(&block.body, names),
            Stmt::FilterBlock(block) => names_set(&block.body, names),
            _ => {}
        }
    }
}

fn name_of(target: &Expr<'_>, names: &mut BTreeSet<String>) {
    match target {
        Expr::Var(variable) => {
            names.insert(variable.id.to_owned());
        }
        Expr::List(list) => list.items.iter().for_each(|item| name_of(item, names)),
        Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| name_of(item, names)),
        _ => {}
    }
}
