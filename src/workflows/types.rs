//! Slips of type in expressions: what surely fails, or surely never holds, whatever a run brings.
//!
//! In: the source of an expression. Out: one slip for each place that cannot work: a number compared with text, a filter on what
//! it does not take, a list where text is wanted. The types of `lead`, `trigger` and `call` are known; of what others send
//! (`trigger.data`, `lead.fields`, outputs) nothing is, and nothing is said. Whether an operation works is asked of the language
//! itself, on samples of each type: only what fails on all of them is a slip.

mod kinds;
mod names;

use std::collections::BTreeSet;

use minijinja::{
    Environment, Value,
    machinery::{
        ast::{BinOpKind, CallArg, Expr, Stmt, UnaryOp, UnaryOpKind},
        parse, parse_expr,
    },
};

use self::{
    kinds::{IntoOperator as _, Kind, is_small, kind_of_path, sign_of},
    names::{names_set, path_of},
};

/// Something that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slip {
    pub message: String,
    pub fix: &'static str,
}

/// Returns the slips in a template.
pub(super) fn of_template(source: &str, environment: &Environment<'_>) -> Vec<Slip> {
    // What cannot be read is reported by whoever compiles it.
    let Ok(Stmt::Template(template)) = parse(source, "template", minijinja::syntax::SyntaxConfig::default())
    else {
        return Vec::new();
    };
    let mut check = Check::new(source, environment);
    names_set(&template.children, &mut check.own);
    check.statements(&template.children);
    check.slips
}

/// Returns the slips in a condition or a value's expression.
pub(super) fn of_expression(source: &str, environment: &Environment<'_>) -> Vec<Slip> {
    let Ok(expression) = parse_expr(source) else {
        return Vec::new();
    };
    let mut check = Check::new(source, environment);
    check.kind(&expression);
    check.slips
}

/// Walks one expression.
struct Check<'a> {
    source: &'a str,
    environment: &'a Environment<'a>,
    /// Names the template gives a value itself: nothing is known of them.
    own: BTreeSet<String>,
    /// Inside of a `default` or a test whether something is there, what is missing is fine.
    is_lenient: bool,
    slips: Vec<Slip>,
}

impl<'a> Check<'a> {
    fn new(source: &'a str, environment: &'a Environment<'a>) -> Self {
        Self {
            source,
            environment,
            own: BTreeSet::new(),
            is_lenient: false,
            slips: Vec::new(),
        }
    }

    fn slip(&mut self, message: String, fix: &'static str) {
        let slip = Slip { message, fix };
        if !self.slips.contains(&slip) {
            self.slips.push(slip);
        }
    }

    /// The expression as it is written.
    fn written(&self, expression: &Expr<'_>) -> String {
        let span = expression.span();
        let offset = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let text = self
            .source
            .get(offset(span.start_offset)..offset(span.end_offset));
        format!("`{}`", text.unwrap_or("the value").trim())
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            match statement {
                Stmt::EmitExpr(emit) => self.emitted(&emit.expr),
                Stmt::ForLoop(walk) => {
                    let kind = self.kind(&walk.iter);
                    if matches!(kind, Kind::Number | Kind::Truth) {
                        let what = self.written(&walk.iter);
                        self.slip(
                            format!("{what} is {}, not a list", kind.words()),
                            "loop over a list",
                        );
                    }
                    self.optional(walk.filter_expr.as_ref());
                    self.statements(&walk.body);
                    self.statements(&walk.else_body);
                }
                Stmt::IfCond(choice) => {
                    self.kind(&choice.expr);
                    self.statements(&choice.true_body);
                    self.statements(&choice.false_body);
                }
                Stmt::WithBlock(block) => {
                    for (_, value) in &block.assignments {
                        self.kind(value);
                    }
                    self.statements(&block.body);
                }
                Stmt::Set(set) => {
                    self.kind(&set.expr);
                }
                Stmt::SetBlock(block) => self.statements(&block.body),
                Stmt::AutoEscape(block) => self.statements(&block.body),
                Stmt::FilterBlock(block) => self.statements(&block.body),
                // Blocks of other templates and macros are rare in a message, and their names are not ours.
                _ => {}
            }
        }
    }

    fn emitted(&mut self, expression: &Expr<'_>) {
        let kind = self.kind(expression);
        if matches!(kind, Kind::List | Kind::Map) {
            let what = self.written(expression);
            let fix = match kind {
                Kind::List => "use `| join(', ')` or `| json`",
                _ => "name one of its fields, or use `| json`",
            };
            self.slip(format!("{what} is {}, not text", kind.words()), fix);
        }
    }

    fn optional(&mut self, expression: Option<&Expr<'_>>) {
        if let Some(expression) = expression {
            self.kind(expression);
        }
    }

    /// Checks an expression; returns what is known of its value.
    fn kind(&mut self, expression: &Expr<'_>) -> Kind {
        match expression {
            Expr::Var(variable) if self.own.contains(variable.id) => Kind::Unknown,
            Expr::Var(variable) => kind_of_path(variable.id),
            Expr::Const(constant) => Kind::of(&constant.value),
            Expr::GetAttr(_) => self.attribute(expression),
            Expr::GetItem(item) => {
                self.kind(&item.expr);
                self.kind(&item.subscript_expr);
                Kind::Unknown
            }
            Expr::Slice(slice) => {
                self.kind(&slice.expr);
                Kind::Unknown
            }
            Expr::UnaryOp(unary) => self.unary(unary),
            Expr::BinOp(operation) => self.operation(operation.op, &operation.left, &operation.right),
            Expr::Compare(compare) => {
                let mut left = &compare.expr;
                for step in &compare.ops {
                    self.operation(step.op.into_operator(), left, &step.expr);
                    left = &step.expr;
                }
                Kind::Truth
            }
            Expr::IfExpr(choice) => {
                self.kind(&choice.test_expr);
                let yes = self.kind(&choice.true_expr);
                let no = choice
                    .false_expr
                    .as_ref()
                    .map_or(Kind::Unknown, |no| self.kind(no));
                if yes == no { yes } else { Kind::Unknown }
            }
            Expr::Filter(filter) => self.filter(expression, filter.name, filter.expr.as_ref(), &filter.args),
            Expr::Test(test) => {
                let asks_presence = matches!(test.name, "defined" | "undefined" | "none");
                self.leniently(asks_presence, &test.expr);
                Kind::Truth
            }
            Expr::Call(call) => {
                self.call(&call.expr);
                for argument in &call.args {
                    self.argument(argument);
                }
                Kind::Unknown
            }
            Expr::List(list) => self.all(&list.items, Kind::List),
            Expr::Tuple(tuple) => self.all(&tuple.items, Kind::Unknown),
            Expr::Map(map) => self.all(&map.values, Kind::Map),
        }
    }

    fn all(&mut self, items: &[Expr<'_>], whole: Kind) -> Kind {
        for item in items {
            self.kind(item);
        }
        whole
    }

    fn unary(&mut self, unary: &UnaryOp<'_>) -> Kind {
        let kind = self.kind(&unary.expr);
        match unary.op {
            UnaryOpKind::Not => Kind::Truth,
            UnaryOpKind::Neg => {
                if !matches!(kind, Kind::Number | Kind::Unknown) {
                    let what = self.written(&unary.expr);
                    let message = format!("{what} is {}: it has no negative", kind.words());
                    self.slip(message, "use a number");
                }
                Kind::Number
            }
        }
    }

    fn leniently(&mut self, is_lenient: bool, expression: &Expr<'_>) -> Kind {
        let before = self.is_lenient;
        self.is_lenient |= is_lenient;
        let kind = self.kind(expression);
        self.is_lenient = before;
        kind
    }

    fn attribute(&mut self, expression: &Expr<'_>) -> Kind {
        let Expr::GetAttr(attribute) = expression else {
            return Kind::Unknown;
        };
        let base = self.kind(&attribute.expr);
        if matches!(base, Kind::Number | Kind::Text | Kind::Truth) {
            if !self.is_lenient {
                let (what, name) = (self.written(&attribute.expr), attribute.name);
                self.slip(
                    format!("{what} is {}: it has no `{name}`", base.words()),
                    "read it without the field",
                );
            }
            return Kind::Unknown;
        }
        path_of(expression)
            .filter(|path| !self.own.contains(path.split('.').next().unwrap_or_default()))
            .map_or(Kind::Unknown, |path| kind_of_path(&path))
    }

    fn operation(&mut self, operator: BinOpKind, left: &Expr<'_>, right: &Expr<'_>) -> Kind {
        let (one, other) = (self.kind(left), self.kind(right));
        let known = one != Kind::Unknown && other != Kind::Unknown;
        let Some(sign) = sign_of(operator) else {
            // `and`, `or`: either side may be the result. `~` and `in` below.
            return match operator {
                BinOpKind::Concat => Kind::Text,
                _ if one == other => one,
                _ => Kind::Unknown,
            };
        };
        let compares = matches!(sign, "==" | "!=" | "<" | "<=" | ">" | ">=");
        let is_strange = if compares {
            // Whether a truth is the number 1 is the language's own business.
            let may_be_like = |kind: Kind| matches!(kind, Kind::Number | Kind::Truth);
            known && one != other && !(may_be_like(one) && may_be_like(other))
        } else {
            known && self.surely_fails(sign, one, other)
        };
        if is_strange {
            let (left, right) = (self.written(left), self.written(right));
            let message = if compares {
                format!(
                    "{left} is {} and {right} is {}: comparing them never tells anything",
                    one.words(),
                    other.words()
                )
            } else {
                format!(
                    "`{sign}` does not work between {left}, which is {}, and {right}, which is {}",
                    one.words(),
                    other.words()
                )
            };
            self.slip(message, "let both sides be of one type, for example by `| int`");
        }
        match sign {
            _ if compares || sign == "in" => Kind::Truth,
            "+" if one == other => one,
            "+" | "*" => Kind::Unknown,
            _ => Kind::Number,
        }
    }

    fn surely_fails(&self, sign: &str, one: Kind, other: Kind) -> bool {
        let Ok(tried) = self
            .environment
            .compile_expression_owned(format!("one {sign} other"))
        else {
            return false;
        };
        let pairs = one
            .samples()
            .into_iter()
            .flat_map(|one| other.samples().into_iter().map(move |other| (one.clone(), other)));
        let mut pairs = pairs.peekable();
        pairs.peek().is_some()
            && pairs.all(|(one, other)| tried.eval(minijinja::context! { one, other }).is_err())
    }

    fn filter(
        &mut self,
        expression: &Expr<'_>,
        name: &str,
        subject: Option<&Expr<'_>>,
        arguments: &[CallArg<'_>],
    ) -> Kind {
        for argument in arguments {
            self.argument(argument);
        }
        let Some(subject) = subject else {
            return Kind::Unknown;
        };
        let gives_default = matches!(name, "default" | "d");
        let kind = self.leniently(gives_default, subject);
        let constants: Option<Vec<Value>> = arguments
            .iter()
            .map(|argument| match argument {
                CallArg::Pos(value) => value.as_const(),
                CallArg::Kwarg(..) | CallArg::PosSplat(_) | CallArg::KwargSplat(_) => None,
            })
            .collect();
        let (false, Some(constants)) = (gives_default || kind == Kind::Unknown, constants) else {
            return Kind::Unknown;
        };
        if !constants.iter().all(is_small) {
            return Kind::Unknown;
        }
        let mut state = self.environment.empty_state();
        let results: Vec<_> = kind
            .samples()
            .into_iter()
            .map(|sample| {
                let arguments: Vec<Value> =
                    std::iter::once(sample).chain(constants.iter().cloned()).collect();
                state.apply_filter(name, &arguments)
            })
            .collect();
        if results.iter().all(Result::is_err) {
            let reason = results
                .iter()
                .find_map(|result| result.as_ref().err()?.detail().map(str::to_owned));
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let (what, whole) = (self.written(subject), self.written(expression));
            let message = format!(
                "{whole}: the filter `{name}` does not work on {what}, which is {}{reason}",
                kind.words()
            );
            self.slip(
                message,
                "use a filter for its type, or turn it into another first",
            );
            return Kind::Unknown;
        }
        let mut kinds = results
            .iter()
            .filter_map(|result| result.as_ref().ok())
            .map(Kind::of);
        let first = kinds.next().unwrap_or(Kind::Unknown);
        // What a list holds is only a sample's.
        let depends = matches!(kind, Kind::List | Kind::Map) && first != Kind::Number && first != Kind::Text;
        if kinds.all(|kind| kind == first) && !depends {
            first
        } else {
            Kind::Unknown
        }
    }

    fn argument(&mut self, argument: &CallArg<'_>) {
        match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => {
                self.kind(value);
            }
        }
    }

    /// What is called: a function of the language, or a method, which values do not have.
    fn call(&mut self, called: &Expr<'_>) {
        let Expr::GetAttr(method) = called else { return };
        let kind = self.kind(&method.expr);
        if matches!(kind, Kind::Number | Kind::Text | Kind::Truth) {
            let (what, name) = (self.written(&method.expr), method.name);
            self.slip(
                format!("{what} is {}: it has no method `{name}`", kind.words()),
                "use a filter, like `| upper`",
            );
        }
    }
}
