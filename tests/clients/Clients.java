// pgjdbc against a served demo: what DatabaseMetaData answers, fetch sizes, timeouts, every query mode, COPY.
// Arguments: port. Prints a line for each case and ends with 1 at the first that differs.

import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

public class Clients {
    interface Case { Object run() throws Exception; }

    static int passed = 0;
    static String port;

    static void check(String name, Case body) {
        try {
            Object told = body.run();
            passed++;
            System.out.println("ok   pgjdbc: " + name + (told == null ? "" : " (" + told + ")"));
        } catch (Throwable error) {
            System.out.println("FAIL pgjdbc: " + name + ": " + error);
            System.out.println(passed + " passed, 1 failed");
            System.exit(1);
        }
    }

    static void same(Object expected, Object found) {
        if (!Objects.equals(expected, found)) throw new AssertionError("expected " + expected + ", found " + found);
    }

    static void that(boolean holds, Object told) {
        if (!holds) throw new AssertionError(String.valueOf(told));
    }

    static Connection connect(String options) throws SQLException {
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/tieout?" + options, "demo", "demo");
    }

    /** The rows of a result, each as its wanted columns. */
    static List<List<String>> rows(ResultSet result, String... columns) throws SQLException {
        List<List<String>> rows = new ArrayList<>();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            for (String column : columns) row.add(result.getString(column));
            rows.add(row);
        }
        result.close();
        return rows;
    }

    static List<List<String>> query(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(text)) {
            List<List<String>> rows = new ArrayList<>();
            int count = result.getMetaData().getColumnCount();
            while (result.next()) {
                List<String> row = new ArrayList<>();
                for (int place = 1; place <= count; place++) row.add(result.getString(place));
                rows.add(row);
            }
            return rows;
        }
    }

    static void metadata(Connection connection) throws Exception {
        DatabaseMetaData about = connection.getMetaData();
        check("getSchemas", () -> {
            List<List<String>> found = rows(about.getSchemas(), "TABLE_SCHEM");
            for (String schema : List.of("recon", "pm", "erp", "procore", "pg_catalog", "information_schema"))
                that(found.contains(List.of(schema)), found);
            return found.size();
        });
        check("getTables", () -> {
            List<List<String>> tables = rows(about.getTables(null, "procore", "%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE");
            that(tables.contains(List.of("vendors", "TABLE")), tables);
            List<List<String>> views = rows(about.getTables(null, "recon", "%", new String[] {"VIEW"}), "TABLE_NAME", "TABLE_TYPE");
            that(views.contains(List.of("exceptions", "VIEW")), views);
            return tables.size() + ", " + views.size();
        });
        check("getColumns", () -> {
            List<List<String>> found = rows(about.getColumns(null, "recon", "exceptions", "%"), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "ORDINAL_POSITION");
            same(List.of("check_id", "text", "2147483647", "0", "1"), found.get(0));
            that(found.contains(List.of("amount_at_risk", "numeric", "18", "2", "13")), found);
            return found.size();
        });
        check("getColumns' remarks", () -> {
            List<List<String>> found = rows(about.getColumns(null, "recon", "exceptions", "check_id"), "REMARKS");
            same(List.of(List.of("the check that found it")), found);
            return null;
        });
        check("getPrimaryKeys", () -> {
            same(List.of(List.of("_key", "1", "vendors_pkey")), rows(about.getPrimaryKeys(null, "procore", "vendors"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"));
            List<List<String>> two = rows(about.getPrimaryKeys(null, "recon", "exceptions"), "COLUMN_NAME", "KEY_SEQ");
            two.sort(Comparator.comparing(row -> row.get(1)));
            same(List.of(List.of("check_id", "1"), List.of("exception_key", "2")), two);
            List<List<String>> model = rows(about.getPrimaryKeys(null, "pm", "commitments"), "COLUMN_NAME");
            model.sort(Comparator.comparing(row -> row.get(0)));
            same(List.of(List.of("record_id"), List.of("source")), model);
            return null;
        });
        check("getIndexInfo", () -> {
            List<List<String>> found = rows(about.getIndexInfo(null, "acumatica", "purchase_orders", true, true), "INDEX_NAME", "ORDINAL_POSITION", "COLUMN_NAME", "NON_UNIQUE");
            that(found.contains(List.of("purchase_orders_pkey", "1", "_key", "f")), found);
            that(found.contains(List.of("purchase_orders_type_order_nbr_key", "2", "order_nbr", "f")), found);
            return found.size();
        });
        check("getImportedKeys", () -> {
            List<List<String>> found = rows(about.getImportedKeys(null, "pm", "commitments"), "PKTABLE_SCHEM", "PKTABLE_NAME", "PKCOLUMN_NAME", "FKCOLUMN_NAME", "KEY_SEQ");
            that(found.contains(List.of("pm", "vendors", "record_id", "vendor_id", "2")), found);
            that(found.contains(List.of("pm", "projects", "source", "source", "1")), found);
            return found.size();
        });
        check("getExportedKeys", () -> {
            List<List<String>> found = rows(about.getExportedKeys(null, "erp", "vendors"), "FKTABLE_SCHEM", "FKTABLE_NAME", "FKCOLUMN_NAME");
            that(found.contains(List.of("erp", "vendor_invoices", "vendor_id")), found);
            return found.size();
        });
        check("getCrossReference", () -> {
            List<List<String>> found = rows(about.getCrossReference(null, "recon", "summary", null, "recon", "exceptions"), "PKCOLUMN_NAME", "FKCOLUMN_NAME");
            same(List.of(List.of("check_id", "check_id")), found);
            return null;
        });
        check("getBestRowIdentifier", () -> {
            List<List<String>> found = rows(about.getBestRowIdentifier(null, "procore", "projects", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME");
            same(List.of(List.of("_key")), found);
            return null;
        });
        check("getTypeInfo", () -> {
            List<List<String>> found = rows(about.getTypeInfo(), "TYPE_NAME");
            for (String type : List.of("numeric", "text", "int8", "timestamptz", "date", "bool")) that(found.contains(List.of(type)), found);
            return found.size();
        });
        check("getFunctions", () -> rows(about.getFunctions(null, null, "%"), "FUNCTION_NAME").size());
        check("getProcedures", () -> rows(about.getProcedures(null, null, "%"), "PROCEDURE_NAME").size());
        check("getUDTs", () -> rows(about.getUDTs(null, null, "%", null), "TYPE_NAME").size());
        check("getTablePrivileges", () -> rows(about.getTablePrivileges(null, "recon", "%"), "TABLE_NAME", "PRIVILEGE").size());
        check("getColumnPrivileges", () -> rows(about.getColumnPrivileges(null, "recon", "summary", "%"), "COLUMN_NAME").size());
        check("getCatalogs", () -> {
            that(rows(about.getCatalogs(), "TABLE_CAT").contains(List.of("tieout")), "");
            return null;
        });
        check("getClientInfoProperties", () -> rows(about.getClientInfoProperties(), "NAME").size());
        check("getVersionColumns", () -> rows(about.getVersionColumns(null, "procore", "vendors"), "COLUMN_NAME").size());
        check("getSQLKeywords", () -> about.getSQLKeywords().length());
        check("product", () -> {
            same("PostgreSQL", about.getDatabaseProductName());
            return about.getDatabaseProductVersion();
        });
    }

    static void queries(String mode) throws Exception {
        try (Connection connection = connect("preferQueryMode=" + mode)) {
            String all = "select check_id, exception_key, amount_at_risk, first_seen_at, occurred_at::date, is_carried, age_days from recon.exceptions order by 1, 2";
            List<List<String>> expected = query(connect(""), all);
            check(mode + ": a query", () -> {
                same(expected, query(connection, all));
                return expected.size();
            });
            check(mode + ": parameters of every type", () -> {
                try (PreparedStatement statement = connection.prepareStatement(
                        "select count(*), max(amount_at_risk) from recon.exceptions where check_id = ? and amount_at_risk >= ? and first_seen_at < ? and occurred_at::date > ? and is_carried = ? and age_days < ? limit ?")) {
                    // Seven times: the driver changes to a named statement, and to binary results, after five.
                    for (int round = 0; round < 7; round++) {
                        statement.setString(1, "V1");
                        statement.setBigDecimal(2, new BigDecimal("0.01"));
                        statement.setTimestamp(3, Timestamp.valueOf("2100-01-01 00:00:00"));
                        statement.setDate(4, java.sql.Date.valueOf("1990-02-01"));
                        statement.setBoolean(5, false);
                        statement.setLong(6, 1_000_000L);
                        statement.setInt(7, 1);
                        try (ResultSet result = statement.executeQuery()) {
                            that(result.next(), "no row");
                            same(query(connection, "select count(*) from recon.exceptions where check_id = 'V1' and amount_at_risk >= 0.01 and not is_carried").get(0).get(0), result.getString(1));
                            that(result.getInt(1) > 0, "nothing found");
                            that(result.getBigDecimal(2).scale() == 2, result.getBigDecimal(2));
                        }
                    }
                }
                return null;
            });
            check(mode + ": any(array)", () -> {
                try (PreparedStatement statement = connection.prepareStatement("select count(distinct check_id) from recon.summary where check_id = any(?)")) {
                    statement.setArray(1, connection.createArrayOf("text", new String[] {"V1", "O1", "none"}));
                    try (ResultSet result = statement.executeQuery()) {
                        result.next();
                        same(2, result.getInt(1));
                    }
                }
                return null;
            });
            check(mode + ": types and places of columns", () -> {
                try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(
                        "select 1::int, 2::bigint, 1.50::numeric(9,2), 'a'::text, true, date '2024-01-02', timestamp '2024-01-02 03:04:05', timestamptz '2024-01-02 03:04:05+00', null::text, array['a', 'b'], 1.5::float8, '\\x00'::bytea")) {
                    result.next();
                    StringBuilder types = new StringBuilder();
                    for (int place = 1; place <= 12; place++) types.append(result.getObject(place) == null ? "null" : result.getObject(place).getClass().getSimpleName()).append(' ');
                    same("Integer Long BigDecimal String Boolean Date Timestamp Timestamp null PgArray Double byte[] ", types.toString());
                    same("2024-01-02", result.getObject(6, java.time.LocalDate.class).toString());
                    same("2024-01-02T03:04:05Z", result.getObject(8, java.time.OffsetDateTime.class).toString());
                    same("numeric 9 2", result.getMetaData().getColumnTypeName(3) + " " + result.getMetaData().getPrecision(3) + " " + result.getMetaData().getScale(3));
                }
                return null;
            });
            check(mode + ": escapes", () -> {
                same(List.of(List.of("A", "2024-01-01", "ab", "2024", "2", "x")), query(connection,
                        "select {fn upper('a')}, {d '2024-01-01'}, {fn concat('a', 'b')}, {fn year({d '2024-01-01'})}, {fn timestampdiff(SQL_TSI_DAY, {ts '2024-01-01 00:00:00'}, {ts '2024-01-03 00:00:00'})}, {fn ifnull(null, 'x')}"));
                return null;
            });
            check(mode + ": a result that is scrolled, one that is cut", () -> {
                try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
                    ResultSet result = statement.executeQuery("select n from generate_series(1, 10) as s (n)");
                    that(result.last() && result.getRow() == 10 && result.absolute(3) && result.getInt(1) == 3, "not there");
                    if (mode.equals("extended")) {
                        statement.setMaxRows(4);
                        result = statement.executeQuery("select n from generate_series(1, 10) as s (n)");
                        that(result.last() && result.getRow() == 4, result.getRow());
                    }
                }
                return null;
            });
            check(mode + ": rows in portions", () -> {
                connection.setAutoCommit(false);
                try (Statement statement = connection.createStatement()) {
                    statement.setFetchSize(3);
                    int count = 0;
                    try (ResultSet result = statement.executeQuery("select n from generate_series(1, 100) as s (n)")) {
                        while (result.next()) same(++count, result.getInt(1));
                    }
                    same(100, count);
                }
                connection.rollback();
                connection.setAutoCommit(true);
                return null;
            });
        }
    }

    public static void main(String[] arguments) throws Exception {
        port = arguments[0];
        try (Connection connection = connect("")) {
            metadata(connection);
        }
        for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) queries(mode);
        check("setQueryTimeout ends the work", () -> {
            try (Connection connection = connect(""); Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                long start = System.nanoTime();
                try {
                    statement.executeQuery("select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0");
                    throw new AssertionError("it ended by itself");
                } catch (SQLException error) {
                    same("57014", error.getSQLState());
                }
                that(System.nanoTime() - start < 20_000_000_000L, "it took too long");
                same("1", query(connection, "select 1").get(0).get(0));
            }
            return null;
        });
        check("setSchema and currentSchema", () -> {
            try (Connection connection = connect("currentSchema=pm")) {
                same("pm", connection.getSchema());
                String there = query(connection, "select count(*) from vendors").get(0).get(0);
                same(query(connection, "select count(*) from pm.vendors").get(0).get(0), there);
                connection.setSchema("procore");
                same("procore", connection.getSchema());
                same(query(connection, "select count(*) from procore.requisitions").get(0).get(0), query(connection, "select count(*) from requisitions").get(0).get(0));
            }
            return null;
        });
        check("setReadOnly on and off, as pools do", () -> {
            try (Connection connection = connect("")) {
                for (boolean readOnly : new boolean[] {true, false, true}) {
                    connection.setReadOnly(readOnly);
                    connection.setAutoCommit(false);
                    same("1", query(connection, "select 1").get(0).get(0));
                    connection.commit();
                    connection.setAutoCommit(true);
                }
                that(connection.isValid(5), "not valid");
                same("1", query(connect("readOnly=true"), "select 1").get(0).get(0));
            }
            return null;
        });
        check("a statement asks the schema of its moment", () -> {
            try (Connection connection = connect("prepareThreshold=1"); PreparedStatement statement = connection.prepareStatement("select count(*) from vendors")) {
                for (String schema : List.of("pm", "erp", "pm", "erp")) {
                    connection.setSchema(schema);
                    try (ResultSet result = statement.executeQuery()) {
                        result.next();
                        same(query(connection, "select count(*) from " + schema + ".vendors").get(0).get(0), result.getString(1));
                    }
                }
            }
            return null;
        });
        check("options and isolation", () -> {
            try (Connection connection = connect("options=-c%20search_path=pm%20-c%20statement_timeout=9s&ApplicationName=named")) {
                same(List.of(List.of("pm", "9s", "named")), query(connection, "select current_schema, current_setting('statement_timeout'), current_setting('application_name')"));
                connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                same("serializable", query(connection, "show transaction isolation level").get(0).get(0));
            }
            return null;
        });
        check("a warning", () -> {
            try (Connection connection = connect(""); Statement statement = connection.createStatement()) {
                statement.execute("commit");
                same("25P01", statement.getWarnings().getSQLState());
            }
            return null;
        });
        check("CopyManager", () -> {
            try (Connection connection = connect("")) {
                StringWriter text = new StringWriter();
                long rows = new org.postgresql.copy.CopyManager(connection.unwrap(org.postgresql.core.BaseConnection.class))
                        .copyOut("copy (select check_id, title from recon.summary order by 1) to stdout with (format csv, header)", text);
                that(text.toString().startsWith("check_id,title\n"), text);
                same((long) query(connection, "select * from recon.summary").size(), rows);
            }
            return null;
        });
        check("a read-only transaction, its isolation, a savepoint", () -> {
            try (Connection connection = connect("")) {
                connection.setReadOnly(true);
                connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
                connection.setAutoCommit(false);
                Savepoint savepoint = connection.setSavepoint("here");
                query(connection, "select 1");
                connection.rollback(savepoint);
                connection.commit();
                same(Connection.TRANSACTION_REPEATABLE_READ, connection.getTransactionIsolation());
            }
            return null;
        });
        check("writes are refused", () -> {
            try (Connection connection = connect(""); Statement statement = connection.createStatement()) {
                statement.executeUpdate("delete from recon.summary");
                throw new AssertionError("not refused");
            } catch (SQLException error) {
                same("25006", error.getSQLState());
            }
            return null;
        });
        System.out.println(passed + " passed, 0 failed");
    }
}
