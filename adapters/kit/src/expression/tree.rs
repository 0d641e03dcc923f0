//! The tree of an expression: whether it computes with integers or floats, and the variables
//! that it declares itself.

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, LiteralValue, operators};
use cel::parser::Expression;
use serde_json::{Number, Value};

/// The largest integer that every smaller one of is a float, too.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Whether an expression holds a float literal or a division. Changes nothing.
pub(super) fn computes_with_floats(expression: &mut Expression) -> bool {
    let own = match &expression.expr {
        Expr::Literal(LiteralValue::Double(_)) => true,
        Expr::Call(call) => call.func_name == operators::DIVIDE,
        Expr::Literal(_)
        | Expr::Unspecified
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_) => false,
    };
    own || children(&mut expression.expr).into_iter().any(computes_with_floats)
}

/// The variables that comprehensions (`map`, `filter`, `all`, `exists`) declare. Changes nothing.
pub(super) fn own_variables(expression: &mut Expression) -> Vec<String> {
    let mut names = Vec::new();
    if let Expr::Comprehension(comprehension) = &expression.expr {
        names.push(comprehension.iter_var.clone());
        names.extend(comprehension.iter_var2.clone());
        names.push(comprehension.accu_var.clone());
    }
    for child in children(&mut expression.expr) {
        names.extend(own_variables(child));
    }
    names
}

/// Makes every integer literal that stands beside an arithmetic operator a float.
pub(super) fn make_float(expression: &mut Expression) {
    if let Expr::Call(call) = &mut expression.expr
        && is_arithmetic(&call.func_name)
    {
        for argument in &mut call.args {
            if let Expr::Literal(literal) = &mut argument.expr {
                to_float(literal);
            }
        }
    }
    for child in children(&mut expression.expr) {
        make_float(child);
    }
}

fn is_arithmetic(name: &str) -> bool {
    [
        operators::ADD,
        operators::SUBSTRACT,
        operators::MULTIPLY,
        operators::DIVIDE,
        operators::NEGATE,
    ]
    .contains(&name)
}

fn to_float(literal: &mut LiteralValue) {
    let text = match &*literal {
        LiteralValue::Int(integer) => integer.inner().to_string(),
        LiteralValue::UInt(integer) => integer.inner().to_string(),
        LiteralValue::Boolean(_)
        | LiteralValue::Bytes(_)
        | LiteralValue::Double(_)
        | LiteralValue::Null
        | LiteralValue::String(_) => return,
    };
    if let Ok(float) = text.parse::<f64>() {
        *literal = LiteralValue::Double(float.into());
    }
}

fn children(expr: &mut Expr) -> Vec<&mut Expression> {
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => {
            call.target.iter_mut().map(|target| &mut **target).chain(&mut call.args).collect()
        }
        Expr::Comprehension(comprehension) => {
            let all = &mut **comprehension;
            vec![
                &mut all.iter_range,
                &mut all.accu_init,
                &mut all.loop_cond,
                &mut all.loop_step,
                &mut all.result,
            ]
        }
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map.entries.iter_mut().flat_map(entry).collect(),
        Expr::Select(select) => vec![&mut *select.operand],
        Expr::Struct(fields) => fields.entries.iter_mut().flat_map(entry).collect(),
    }
}

fn entry(entry: &mut IdedEntryExpr) -> Vec<&mut Expression> {
    match &mut entry.expr {
        EntryExpr::StructField(field) => vec![&mut field.value],
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
    }
}

/// A float as JSON: without a fraction if it has none, so that the same number is the same text.
pub(super) fn to_json(float: f64) -> Result<Value, String> {
    if !float.is_finite() {
        return Err("the result is not a finite number".to_owned());
    }
    if float.fract() == 0.0
        && float.abs() < EXACT
        && let Ok(integer) = format!("{float:.0}").parse::<i64>()
    {
        return Ok(Value::from(integer));
    }
    Number::from_f64(float).map(Value::Number).ok_or_else(|| "not a number".to_owned())
}
