//! stub
use datafusion::sql::sqlparser::ast::Statement;
pub(crate) fn rewrite(statement: Statement) -> Statement { statement }
