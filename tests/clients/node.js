// node-postgres with its cursor and stream, and postgres.js. Arguments: port; the packages are looked for in NODE_PATH.
const assert = require("node:assert/strict");
const pg = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
const postgres = require("postgres");

const settings = { host: "127.0.0.1", port: Number(process.argv[2]), user: "demo", password: "demo", database: "tieout" };
const EXCEPTIONS = "select * from recon.exceptions order by check_id, exception_key";
const TYPES = `select 3::int4 as medium, 7::int8 as whole, 123456789012345678901234567890.12345678::numeric(38, 8) as number,
  '2024-02-29'::date::text as day, timestamptz '2024-02-29 12:30:00+00' as moment, null::text as nothing, true as truth,
  'it''s "q" żółć 漢😀' as words, '\\xdeadbeef'::bytea as bytes, array['x,y', '"q"', null] as list, '{"a": [1]}'::jsonb as document`;
const ENDLESS = "select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0";

let passed = 0;
async function test(client, name, body) {
    try {
        await body();
    } catch (error) {
        console.log(error);
        console.log(`FAIL ${client}: ${name}`);
        console.log(`${passed} passed, 1 failed`);
        process.exit(1);
    }
    passed += 1;
    console.log(`ok   ${client}: ${name}`);
}

async function connected(body, more = {}) {
    const client = new pg.Client({ ...settings, ...more });
    await client.connect();
    try {
        return await body(client);
    } finally {
        await client.end();
    }
}

// The code that a promise is refused with.
async function code(promise) {
    try {
        await promise;
    } catch (error) {
        return error.code;
    }
    return "carried out";
}

async function nodePostgres(client) {
    const all = (await client.query(EXCEPTIONS)).rows;
    assert.ok(all.length > 100);

    await test("pg", "values of every type", async () => {
        const { rows: [found], fields } = await client.query(TYPES);
        assert.deepEqual([found.medium, found.whole, found.number], [3, "7", "123456789012345678901234567890.12345678"]);
        assert.deepEqual([found.day, found.moment, found.nothing, found.truth], ["2024-02-29", new Date(Date.UTC(2024, 1, 29, 12, 30)), null, true]);
        assert.deepEqual([found.words, found.bytes], ['it\'s "q" żółć 漢😀', Buffer.from("deadbeef", "hex")]);
        assert.deepEqual([found.list, found.document], [["x,y", '"q"', null], { a: [1] }]);
        assert.deepEqual(fields.slice(0, 3).map((field) => field.dataTypeID), [23, 20, 1700]);
        assert.equal(fields[2].dataTypeModifier, (38 << 16) + 8 + 4);
    });

    await test("pg", "results in binary are results in text", async () => {
        const text = "select check_id, amount_at_risk, first_seen_at, age_days, is_carried from recon.exceptions order by check_id, exception_key";
        assert.deepEqual((await client.query({ text, binary: true })).rows, (await client.query(text)).rows);
    });

    await test("pg", "parameters of every type", async () => {
        const moment = new Date(Date.UTC(2024, 1, 29, 12, 30));
        const values = [4, "x'y", moment, true, null, { a: 1 }, Buffer.from([0, 255]), [1, 2]];
        const text = "select $1::int4, $2::text, $3::timestamptz, $4::bool, $5::text, $6::jsonb, $7::bytea, $8::int4[]";
        assert.deepEqual((await client.query({ text, values, rowMode: "array" })).rows, [values]);
        assert.deepEqual((await client.query("select $1::numeric(18, 2) as n", ["1.25"])).rows, [{ n: "1.25" }]);
        const found = await client.query("select check_id from recon.summary where check_id = any($1) order by 1", [["V1", "O1"]]);
        assert.deepEqual(found.rows.map((row) => row.check_id), ["O1", "V1"]);
    });

    await test("pg", "a prepared statement, three times", async () => {
        for (const n of [1, 2, 3]) {
            assert.deepEqual((await client.query({ name: "kept", text: "select $1::int4 as n", values: [n] })).rows, [{ n }]);
        }
        assert.deepEqual((await client.query("execute kept(4)")).rows, [{ n: 4 }]);
    });

    await test("pg", "several statements in one text", async () => {
        const found = await client.query("select 'a' as one; select 'b' as one");
        assert.deepEqual(found.map((result) => [result.command, result.rows[0].one]), [["SELECT", "a"], ["SELECT", "b"]]);
    });

    await test("pg-cursor", "a large result in portions, and one that is left early", async () => {
        const cursor = client.query(new Cursor("select n from generate_series(1, 150000) as s (n) where n <> $1", [7]));
        const sizes = [];
        for (let rows = await cursor.read(10000); rows.length > 0; rows = await cursor.read(10000)) sizes.push(rows.length);
        await cursor.close();
        assert.deepEqual(sizes, [...Array(14).fill(10000), 9999]);
        const early = client.query(new Cursor("select n from generate_series(1, 150000) as s (n)"));
        assert.equal((await early.read(10)).length, 10);
        await early.close();
        assert.deepEqual((await client.query("select 'on' as goes")).rows, [{ goes: "on" }]);
    });

    await test("pg-query-stream", "a large result as a stream", async () => {
        const stream = client.query(new QueryStream("select n from generate_series(1, 200000) as s (n)", [], { batchSize: 500 }));
        let sum = 0;
        for await (const row of stream) sum += Number(row.n);
        assert.equal(sum, (200000 * 200001) / 2);
    });

    await test("pg", "errors have their codes, and the connection goes on", async () => {
        for (const [text, state] of [["select nope from recon.exceptions", "42703"], ["select * from recon.nope", "42P01"], ["selec 1", "42601"], ["select 1 / 0", "22012"]]) {
            assert.equal(await code(client.query(text)), state, text);
        }
        assert.equal(await code(client.query("select $1::int4", ["x"])), "22P02");
        assert.deepEqual((await client.query("select 'on' as goes")).rows, [{ goes: "on" }]);
    });

    await test("pg", "writes are refused", async () => {
        for (const text of ["insert into recon.summary (check_id) values ($1)", "update recon.summary set check_id = $1", "delete from recon.summary where check_id = $1"]) {
            assert.equal(await code(client.query(text, ["x"])), "25006", text);
        }
        assert.equal(await code(client.query("create temp table x (a int)")), "25006");
    });

    await test("pg", "a transaction that failed is over after its rollback", async () => {
        await client.query("begin isolation level repeatable read read only");
        assert.equal((await client.query("select * from recon.exceptions")).rowCount, all.length);
        assert.equal(await code(client.query("select 1 / 0")), "22012");
        assert.equal(await code(client.query("select 1")), "25P02");
        await client.query("rollback");
        assert.equal((await client.query("select 1")).rowCount, 1);
    });

    await test("pg", "settings of the connection have their effect", async () => {
        const text = "select current_schema as schema, current_setting('application_name') as name, current_setting('TimeZone') as zone";
        const more = { application_name: "reader", options: "-c search_path=pm -c timezone=America/Chicago" };
        assert.deepEqual(await connected(async (other) => (await other.query(text)).rows, more), [{ schema: "pm", name: "reader", zone: "America/Chicago" }]);
        assert.equal(await connected((other) => code(other.query(ENDLESS)), { statement_timeout: 300 }), "57014");
    });

    await test("pg", "a wrong password is refused", async () => {
        assert.equal(await code(connected(() => null, { password: "no" })), "28P01");
    });

    await test("pg", "a pool", async () => {
        const pool = new pg.Pool({ ...settings, max: 4 });
        const found = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((n) => pool.query("select $1::int4 as n", [n])));
        await pool.end();
        assert.deepEqual(found.map((result) => result.rows[0].n), [1, 2, 3, 4, 5, 6, 7, 8]);
    });
}

async function postgresJs(sql) {
    await test("postgres.js", "values of every type", async () => {
        const [found] = await sql.unsafe(TYPES);
        assert.deepEqual([found.medium, found.whole, found.number], [3, "7", "123456789012345678901234567890.12345678"]);
        assert.deepEqual([found.moment, found.nothing, found.truth], [new Date(Date.UTC(2024, 1, 29, 12, 30)), null, true]);
        assert.deepEqual([found.words, found.list.slice(0, 2), found.document], ['it\'s "q" żółć 漢😀', ["x,y", '"q"'], { a: [1] }]);
    });

    await test("postgres.js", "parameters, one, in a list, as an array", async () => {
        const words = "it's";
        assert.deepEqual([...(await sql`select ${words} as words, ${[1, 2]}::int4[] as list`)], [{ words, list: [1, 2] }]);
        assert.deepEqual([...(await sql`select check_id from recon.summary where check_id in ${sql(["V1", "O1"])} order by 1`)], [{ check_id: "O1" }, { check_id: "V1" }]);
    });

    await test("postgres.js", "a large result by a cursor", async () => {
        const sizes = [];
        await sql`select n from generate_series(1, 120000) as s (n)`.cursor(10000, (rows) => { sizes.push(rows.length); });
        assert.deepEqual(sizes, Array(12).fill(10000));
    });

    await test("postgres.js", "COPY as a stream", async () => {
        let text = "";
        for await (const part of await sql`copy (select check_id from recon.summary order by 1) to stdout`.readable()) text += part;
        const [{ count }] = await sql`select count(*) from recon.summary`;
        assert.equal(text.split("\n").length - 1, Number(count));
    });

    await test("postgres.js", "what a query will need and answer", async () => {
        const { types, columns } = await sql`select check_id, amount_at_risk from recon.exceptions where check_id = ${"V1"}`.describe();
        assert.deepEqual([types, columns.map((column) => [column.name, column.type])], [[25], [["check_id", 25], ["amount_at_risk", 1700]]]);
    });

    await test("postgres.js", "a transaction, an error, a write", async () => {
        assert.deepEqual([...(await sql.begin("read only", (inside) => inside`select 'x' as one`))], [{ one: "x" }]);
        assert.equal(await code(sql`select nope from recon.exceptions`), "42703");
        assert.equal(await code(sql`insert into recon.summary ${sql({ check_id: "x" })}`), "25006");
    });
}

(async () => {
    await connected(nodePostgres);
    const sql = postgres({ ...settings, max: 2 });
    await postgresJs(sql);
    await sql.end();
    console.log(`${passed} passed, 0 failed`);
})();
