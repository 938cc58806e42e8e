# RPostgreSQL through R's DBI: types, fetching in portions, metadata, errors, refused writes. Argument: port.
suppressPackageStartupMessages(library(RPostgreSQL))
port <- as.integer(commandArgs(TRUE)[1])
connect <- function(password = "demo") dbConnect(PostgreSQL(), host = "127.0.0.1", port = port, user = "demo", password = password, dbname = "tieout")
connection <- connect()
passed <- 0

test <- function(name, body) {
    tryCatch(body(), error = function(error) {
        cat("FAIL RPostgreSQL: ", name, ": ", conditionMessage(error), "\n", passed, " passed, 1 failed\n", sep = "")
        quit(status = 1)
    })
    passed <<- passed + 1
    cat("ok   RPostgreSQL: ", name, "\n", sep = "")
}
same <- function(expected, found) {
    if (!isTRUE(all.equal(expected, found, tolerance = 0, check.attributes = FALSE))) {
        stop("expected ", paste(format(expected), collapse = " "), ", found ", paste(format(found), collapse = " "))
    }
}
# What a statement is refused with.
refused <- function(text, wanted) {
    told <- tryCatch(suppressWarnings({ dbClearResult(dbSendQuery(connection, text)); "it was carried out" }), error = conditionMessage)
    if (!grepl(wanted, told, fixed = TRUE)) stop(text, ": ", told)
}

test("values of every type", function() {
    found <- dbGetQuery(connection, "select 3::int4 as medium, 7::int8 as whole, date '2024-02-29' as day, timestamp '2024-02-29 12:30:00' as moment,
        null::text as nothing, true as truth, 'it''s \"q\" żółć 漢'::text as words, 1.5::float8 as rough,
        123456789012345678901234567890.12345678::numeric(38, 8)::text as number")
    same(3L, found$medium)
    same(7, found$whole)
    same(as.Date("2024-02-29"), found$day)
    same("2024-02-29 12:30:00", format(found$moment))
    same(NA_character_, found$nothing)
    same(TRUE, found$truth)
    same("it's \"q\" \u017c\u00f3\u0142\u0107 \u6f22", enc2utf8(found$words))
    same(1.5, found$rough)
    same("123456789012345678901234567890.12345678", found$number)
})

test("a column is a number, a moment, a truth value", function() {
    found <- dbGetQuery(connection, "select amount_at_risk, amount_at_risk::text as written, first_seen_at, is_carried from recon.exceptions order by check_id, exception_key")
    same(as.numeric(found$written), found$amount_at_risk)
    stopifnot(nrow(found) > 100, inherits(found$first_seen_at, "POSIXct"), is.logical(found$is_carried))
})

test("parameters", function() {
    found <- dbGetQuery(connection, "select $1::bigint + 1 as one, $2::text as other", list(4, "a'b"))
    same(5, found$one)
    same("a'b", found$other)
    same("V1", dbGetQuery(connection, "select check_id from recon.summary where check_id = $1", "V1")$check_id)
})

test("a large result in portions", function() {
    result <- dbSendQuery(connection, "select n from generate_series(1, 150000) as s (n)")
    total <- 0
    portions <- 0
    while (!dbHasCompleted(result)) {
        portion <- fetch(result, 10000)
        if (nrow(portion) == 0) break
        portions <- portions + 1
        total <- total + sum(as.numeric(portion$n))
    }
    dbClearResult(result)
    same(150000 * 150001 / 2, total)
    same(15, portions)
})

test("tables, a table whole, the columns of a result", function() {
    stopifnot(c("vendors", "purchase_orders") %in% dbListTables(connection))
    counted <- dbGetQuery(connection, "select count(*) as n from recon.summary")$n
    same(counted, nrow(dbReadTable(connection, c("recon", "summary"))))
    result <- dbSendQuery(connection, "select check_id, amount_at_risk, first_seen_at, is_carried from recon.exceptions")
    columns <- dbColumnInfo(result)
    dbClearResult(result)
    same(c("check_id", "amount_at_risk", "first_seen_at", "is_carried"), columns$name)
    same(c("character", "double", "POSIXct", "logical"), columns$Sclass)
})

test("a transaction", function() {
    dbBegin(connection)
    same("x", dbGetQuery(connection, "select 'x'::text as one")$one)
    dbRollback(connection)
    dbBegin(connection)
    refused("select 1 / 0", "division by zero")
    refused("select 1", "current transaction is aborted")
    dbRollback(connection)
    same("x", dbGetQuery(connection, "select 'x'::text as one")$one)
})

test("errors are told, and the connection goes on", function() {
    refused("select nope from recon.exceptions", "nope")
    refused("selec 1", "syntax error")
    same("x", dbGetQuery(connection, "select 'x'::text as one")$one)
})

test("writes are refused", function() {
    refused("insert into recon.summary (check_id) values ('x')", "the server is read only")
    same(FALSE, suppressWarnings(dbWriteTable(connection, "x", data.frame(a = 1))))
})

test("a wrong password is refused", function() {
    told <- tryCatch({ connect("no"); "it was let in" }, error = conditionMessage)
    if (!grepl("password authentication failed", told, fixed = TRUE)) stop(told)
})

invisible(dbDisconnect(connection))
cat(passed, "passed, 0 failed\n")
