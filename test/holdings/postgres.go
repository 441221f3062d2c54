package holdings

import "fmt"

// postgres are the types of PostgreSQL 11 and newer. Both ends are PostgreSQL, so most
// values are compared by their text.
var postgres = dialect{
	quote: `"`, schema: "public.", seq: "seq",
	random: "(hashtextextended((%s)::text || '%s/%d', 0) & 4294967295)", hash: "md5((%s)::text || '%s')",
	sequence: func(first, last int) string { return fmt.Sprintf("generate_series(%d, %d) seq", first, last) },
	before: []string{"CREATE TYPE mood AS ENUM ('sad', '快乐', 'it''s')", "CREATE DOMAIN grade AS smallint CHECK (VALUE >= 0)", "CREATE TYPE pair AS (a int, b text)",
		"CREATE DOMAIN names AS text[]"},
	kinds: []kind{
		{"boolean", "pg", "{1} % 2 = 0"},
		{"smallint", "pg", "{1} % 65536 - 32768"},
		{"integer", "pg", "{1} - 2147483648"},
		{"bigint", "pg", "({1} - 2147483648) * 4294967296 + {2}"},
		{"numeric", "pg", "CASE {1} % 20 WHEN 0 THEN 'NaN'::numeric WHEN 1 THEN repeat('9', 200)::numeric ELSE ({2} - 2147483648)::numeric * {3} / 1000003 END"},
		{"numeric(12,2)", "pg", "({1} - 2147483648) / 100.0"},
		{"real", "pg float", "CASE {1} % 20 WHEN 0 THEN '-0'::real WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN '1e-45' ELSE (({2} - 2147483648) / (1.0 + {3} % 10000000))::real END"},
		{"double precision", "pg float", "CASE {1} % 20 WHEN 0 THEN '-0'::float8 WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '5e-324' ELSE ({2} - 2147483648) * 1e5 / (1.0 + {3}) END"},
		{"text", "pg", pgTexts},
		{"text", "pg", "CASE WHEN {1} % 50 = 0 THEN repeat({h}, 200) ELSE " + pgTexts + " END"},
		{"varchar(90)", "pg", pgTexts},
		{"char(20)", "pg char", "left(" + pgTexts + ", 20)"},
		{"bytea", "pg", "CASE WHEN {1} % 50 = 0 THEN decode(repeat({h}, 300), 'hex') ELSE decode(left({h}, 2 * ({1} % 17)::int), 'hex') END"},
		{"date", "pg", "CASE {1} % 20 WHEN 0 THEN 'infinity'::date WHEN 1 THEN '-infinity' WHEN 2 THEN '0044-03-15 BC' WHEN 3 THEN '20000-01-01' ELSE date '1900-01-01' + ({2} % 80000)::int END"},
		{"time", "pg", "CASE {1} % 20 WHEN 0 THEN '24:00:00'::time ELSE time '00:00' + {2} * interval '1 microsecond' END"},
		{"time(3) with time zone", "pg", "(time '00:00' + {1} * interval '1 ms' || '+05:30')::timetz"},
		{"timestamp", "pg", "CASE {1} % 20 WHEN 0 THEN 'infinity'::timestamp WHEN 1 THEN '4713-01-01 00:00:00 BC' ELSE timestamp '1969-12-31 23:30' + {2} * interval '1 microsecond' END"},
		{"timestamptz", "pg", "CASE {1} % 20 WHEN 0 THEN '-infinity'::timestamptz ELSE timestamptz '1900-01-01' + {2} * interval '1 second' END"},
		{"interval", "pg", "make_interval(months => ({1} % 1000)::int - 500, days => ({2} % 100)::int - 50, secs => {3} / 1000000.0)"},
		{"uuid", "pg", "{h}::uuid"},
		{"json", "pg", `('{"a":  ' || {1} || ', "b": [1.0, null, "é\n"]}')::json`},
		{"jsonb", "pg", `('{"a":  ' || {1} || ', "b": [1.0, null, "' || repeat({h}, ({2} % 3)::int * 40) || '"]}')::jsonb`},
		{"mood", "pg", "(ARRAY['sad', '快乐', 'it''s'])[1 + {1} % 3]::mood"},
		{"grade", "pg", "{1} % 100"},
		{"pair", "pg", "ROW({1} % 10, " + pgTexts + ")::pair"},
		{"names", "pg", "ARRAY[" + pgTexts + ", NULL]"},
		{"int[]", "pg", "CASE {1} % 5 WHEN 0 THEN '{}'::int[] ELSE ARRAY[{2} % 100, NULL, {3} % 100]::int[] END"},
		{"text[]", "pg", "ARRAY[[" + pgTexts + ", ''], [NULL, 'NULL']]"},
		{"numeric(8,3)[]", "pg", "ARRAY[{1} / 1000000.0]"},
		{"inet", "pg", "'10.0.0.0/8'::inet + {1} % 1000000"},
		{"cidr", "pg", "set_masklen('10.0.0.0'::cidr, 8 + ({1} % 24)::int)"},
		{"macaddr", "pg", "left({h}, 12)::macaddr"},
		{"int4range", "pg", "int4range(({1} % 1000)::int, CASE WHEN {2} % 9 > 0 THEN 1000 + ({3} % 1000)::int END)"},
		{"numrange", "pg", "CASE {1} % 9 WHEN 0 THEN 'empty'::numrange ELSE numrange({1} / 7.0, NULL, '(]') END"},
		{"tstzrange", "pg", "tstzrange(timestamptz '2026-01-01' + {1} % 1000 * interval '1 second', 'infinity')"},
		{"bit(12)", "pg", "({1} % 4096)::int::bit(12)"},
		{"bit varying", "pg", "left(({1} % 4096)::int::bit(12)::text, ({2} % 13)::int)::varbit"},
		{"point", "pg", "point({1} / 7.0, {2} / 1000.0)"},
		{"tsvector", "pg", "to_tsvector('simple', {h} || ' ' || " + pgTexts + ")"},
		{"xml", "pg", "xmlelement(name a, " + pgTexts + ")"},
	},
	keys: []key{
		{columns: []kind{{"bigint", "pg", "{n} * 7 - 1000000"}}},
		{columns: []kind{{"int", "pg", "{n} / 100 - 50"}, {"smallint", "pg", "{n} % 100"}}},
		{columns: []kind{{"text", "pg", "(ARRAY['e', 'É', '赵', E'\\\\'])[1 + {s} % 4] || {n}"}}},
		{columns: []kind{{`text COLLATE "C"`, "pg", "{n} || (ARRAY['a', 'A', '镕', E'\\t'])[1 + {s} % 4]"}}},
		{columns: []kind{{"varchar(40)", "pg", "(ARRAY['b ', 'B'])[1 + {s} % 2] || {n}"}}},
		{columns: []kind{{"char(20)", "pg char", "'x' || {n}"}}},
		{columns: []kind{{"uuid", "pg", "md5(({n})::text)::uuid"}}},
		{columns: []kind{{"bytea", "pg", `'\x00'::bytea || convert_to(({n})::text, 'UTF8')`}}},
		{columns: []kind{{"numeric(20,3)", "pg", "({n} - 1000) * 0.125"}}},
		{columns: []kind{{"date", "pg", "date '2000-01-01' + ({n} / 200)::int"}, {"text", "pg", "'课' || {n} % 200"}}},
		{columns: []kind{{"timestamptz", "pg", "timestamptz '1969-12-31 23:59:59.9' + {n} * interval '37 microseconds'"}}},
		{columns: []kind{{"mood", "pg", "(ARRAY['sad', '快乐', 'it''s'])[1 + {n} % 3]::mood"}, {"bigint", "pg", "{n}"}}},
		{columns: []kind{{"boolean", "pg", "{n} % 2 = 0"}, {"int", "pg", "{n}"}}},
		{columns: []kind{{"double precision", "pg float", "{n} * 0.1"}}},
	},
	// Long values stand outside of their rows, so that updates leave them out of the log.
	after: func(t *Table) (out []string) {
		for _, c := range t.columns {
			if c.def == "text" || c.def == "bytea" || c.def == "jsonb" {
				out = append(out, fmt.Sprintf(`ALTER TABLE %s ALTER COLUMN "%s" SET STORAGE EXTERNAL`, t.name(), c.name))
			}
		}
		if t.odd {
			out = append(out, "ALTER TABLE "+t.name()+" REPLICA IDENTITY FULL")
		}
		return out
	},
}

const pgTexts = `((ARRAY['', '赵镕', 'é  ', E'a\\b''c"', '𠮷野', E'l1\nl2\t\r', 'Ｗ', E'\\N'])[1 + {1} % 8] || (ARRAY['', {2}::text, {3} || '  '])[1 + {2} % 3])`
