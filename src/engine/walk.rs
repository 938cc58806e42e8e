//! Walks over the parts of a statement.
//!
//! What sqlparser derives for its hundreds of kinds of parts is compiled once for every kind of visitor: thirty visitors were an
//! eighth of the program. Here all visitors stand behind one pointer. Invariant: a walk does what `Visit::visit` and
//! `VisitMut::visit` do, in the same order.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Shows a visitor all parts, until it breaks off.
pub(crate) fn walk<V: Visitor>(part: &impl Visit, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut kept = Kept { visitor, broke: None };
    let end = part.visit(&mut Any(&mut kept));
    ended(end, kept.broke)
}

/// Shows a visitor all parts, which it may change, until it breaks off.
pub(crate) fn walk_mut<V: VisitorMut>(part: &mut impl VisitMut, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut kept = Kept { visitor, broke: None };
    let end = part.visit(&mut AnyMut(&mut kept));
    ended(end, kept.broke)
}

/// Shows all expressions, each before those within it.
pub(crate) fn expressions<B>(part: &impl Visit, look: impl FnMut(&Expr) -> ControlFlow<B>) -> ControlFlow<B> {
    walk(part, &mut Each(look))
}

/// Shows all expressions to be changed, each after those within it.
pub(crate) fn expressions_mut<B>(
    part: &mut impl VisitMut,
    change: impl FnMut(&mut Expr) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk_mut(part, &mut Each(change))
}

/// Shows all names of tables.
pub(crate) fn relations<B>(part: &impl Visit, look: impl FnMut(&ObjectName) -> ControlFlow<B>) -> ControlFlow<B> {
    walk(part, &mut EachRelation(look))
}

/// Shows all names of tables to be changed.
pub(crate) fn relations_mut<B>(
    part: &mut impl VisitMut,
    change: impl FnMut(&mut ObjectName) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk_mut(part, &mut EachRelation(change))
}

fn ended<B>(end: ControlFlow<()>, broke: Option<B>) -> ControlFlow<B> {
    match (end, broke) {
        (ControlFlow::Break(()), Some(broke)) => ControlFlow::Break(broke),
        _ => ControlFlow::Continue(()),
    }
}

struct Each<F>(F);

impl<B, F: FnMut(&Expr) -> ControlFlow<B>> Visitor for Each<F> {
    type Break = B;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<B> {
        self.0(expression)
    }
}

impl<B, F: FnMut(&mut Expr) -> ControlFlow<B>> VisitorMut for Each<F> {
    type Break = B;

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<B> {
        self.0(expression)
    }
}

struct EachRelation<F>(F);

impl<B, F: FnMut(&ObjectName) -> ControlFlow<B>> Visitor for EachRelation<F> {
    type Break = B;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<B> {
        self.0(relation)
    }
}

impl<B, F: FnMut(&mut ObjectName) -> ControlFlow<B>> VisitorMut for EachRelation<F> {
    type Break = B;

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<B> {
        self.0(relation)
    }
}

/// A visitor, and what it broke off with.
struct Kept<'a, V, B> {
    visitor: &'a mut V,
    broke: Option<B>,
}

impl<V, B> Kept<'_, V, B> {
    fn seen(&mut self, end: ControlFlow<B>) -> ControlFlow<()> {
        match end {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(broke) => {
                self.broke = Some(broke);
                ControlFlow::Break(())
            }
        }
    }
}

/// Any visitor.
struct Any<'a>(&'a mut dyn Visitor<Break = ()>);

/// Any visitor that may change what it is shown.
struct AnyMut<'a>(&'a mut dyn VisitorMut<Break = ()>);

macro_rules! pass_on {
    ($($before:ident, $after:ident: $part:ty;)*) => {
        impl<V: Visitor> Visitor for Kept<'_, V, V::Break> {
            type Break = ();
            $(fn $before(&mut self, part: &$part) -> ControlFlow<()> {
                let end = self.visitor.$before(part);
                self.seen(end)
            }
            fn $after(&mut self, part: &$part) -> ControlFlow<()> {
                let end = self.visitor.$after(part);
                self.seen(end)
            })*
        }

        impl<V: VisitorMut> VisitorMut for Kept<'_, V, V::Break> {
            type Break = ();
            $(fn $before(&mut self, part: &mut $part) -> ControlFlow<()> {
                let end = self.visitor.$before(part);
                self.seen(end)
            }
            fn $after(&mut self, part: &mut $part) -> ControlFlow<()> {
                let end = self.visitor.$after(part);
                self.seen(end)
            })*
        }

        impl Visitor for Any<'_> {
            type Break = ();
            $(fn $before(&mut self, part: &$part) -> ControlFlow<()> {
                self.0.$before(part)
            }
            fn $after(&mut self, part: &$part) -> ControlFlow<()> {
                self.0.$after(part)
            })*
        }

        impl VisitorMut for AnyMut<'_> {
            type Break = ();
            $(fn $before(&mut self, part: &mut $part) -> ControlFlow<()> {
                self.0.$before(part)
            }
            fn $after(&mut self, part: &mut $part) -> ControlFlow<()> {
                self.0.$after(part)
            })*
        }
    };
}

pass_on! {
    pre_visit_query, post_visit_query: Query;
    pre_visit_select, post_visit_select: Select;
    pre_visit_relation, post_visit_relation: ObjectName;
    pre_visit_table_factor, post_visit_table_factor: TableFactor;
    pre_visit_expr, post_visit_expr: Expr;
    pre_visit_statement, post_visit_statement: Statement;
    pre_visit_value, post_visit_value: ValueWithSpan;
}
