package holdings

import (
	"fmt"
	"strings"
)

// mariadb are the types of MariaDB 10.11. Each has limits, zero or empty values, and what
// is rare; values that no store holds are among those of dates and texts.
var mariadb = dialect{
	quote: "`", schema: "shiku.", seq: "CAST(seq AS SIGNED)", random: "CRC32(CONCAT(%s, '%s/%d'))", hash: "MD5(CONCAT(%s, '%s'))",
	// MariaDB Knowledge Base, "Sequence Storage Engine".
	sequence: func(first, last int) string { return fmt.Sprintf("shiku.seq_%d_to_%d", first, last) },
	before:   []string{"CREATE DATABASE shiku CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"},
	kinds:    mariadbKinds,
	keys:     mariadbKeys,
	// Some times have the format of before MySQL 5.6.
	format: map[bool]string{true: "SET GLOBAL mysql56_temporal_format = OFF", false: "SET GLOBAL mysql56_temporal_format = ON"},
}

var mariadbKinds = []kind{
	{"tinyint", "number", "CAST({1} % 256 AS SIGNED) - 128"},
	{"tinyint unsigned", "number", "{1} % 256"},
	{"tinyint(1)", "number", "{1} % 2"},
	{"smallint", "number", "CAST({1} % 65536 AS SIGNED) - 32768"},
	{"smallint unsigned", "number", "{1} % 65536"},
	{"mediumint", "number", "CAST({1} % 16777216 AS SIGNED) - 8388608"},
	{"mediumint unsigned", "number", "{1} % 16777216"},
	{"int", "number", "CAST({1} AS SIGNED) - 2147483648"},
	{"int unsigned", "number", "{1}"},
	{"int(8) unsigned zerofill", "padded", "{1} % 1000000"},
	{"bigint", "number", "(CAST({1} AS SIGNED) - 2147483648) * 4294967296 + CAST({2} AS SIGNED)"},
	{"bigint unsigned", "number", "CAST({1} AS UNSIGNED) * 4294967296 + {2}"},
	{"decimal(5,1)", "number", "CONCAT(" + sign + ", {2} % 10000, '.', {3} % 10)"},
	{"decimal(10,2)", "number", "CONCAT(" + sign + ", {2} % 100000000, '.', LPAD({3} % 100, 2, '0'))"},
	{"decimal(20,0)", "number", "CONCAT(" + sign + ", {2}, {3})"},
	{"decimal(65,0)", "number", "CONCAT(" + sign + ", REPEAT('9', {2} % 56), {3} % 1000000000)"},
	{"decimal(65,30)", "number", "CONCAT(" + sign + ", {2}, {3} % 1000, LPAD({4}, 10, '0'), '.', LPAD({2}, 10, '0'), LPAD({3}, 10, '0'), LPAD({4}, 10, '0'))"},
	{"decimal(30,30)", "number", "CONCAT(" + sign + ", '0.', LPAD({2}, 15, '0'), LPAD({3}, 15, '0'))"},
	{"float", "float", "CASE {1} % 20 WHEN 0 THEN 0 WHEN 1 THEN 3.4028234e38 WHEN 2 THEN -1.17549435e-38 WHEN 3 THEN 1e-45 ELSE (CAST({2} AS SIGNED) - 2147483648) / (1e0 + {3} % 10000000) END"},
	{"double", "double", "CASE {1} % 20 WHEN 0 THEN 0 WHEN 1 THEN -1.7976931348623157e308 WHEN 2 THEN 2.2250738585072014e-308 WHEN 3 THEN 5e-324 WHEN 4 THEN 0.1 ELSE (CAST({2} AS SIGNED) - 2147483648) * 1e5 / (1e0 + {3}) END"},
	{"bit(1)", "bit", "{1} % 2"},
	{"bit(12)", "bit", "{1} % 4096"},
	{"bit(64)", "bit", "CAST({1} AS UNSIGNED) * 4294967296 + {2}"},
	{"year", "padded", "IF({1} % 20 = 0, 0, 1901 + {1} % 255)"},

	{"char(4)", "text", "ELT(1 + {1} % 5, '', '杭州', '西湖区', 'Ａ ', 'ab')"},
	{"char(200)", "text", texts},
	{"varchar(20)", "text", "LEFT(" + texts + ", 20)"},
	{"varchar(60) COLLATE utf8mb4_bin", "text", texts},
	{"varchar(300)", "text", texts},
	{"tinytext", "text", texts},
	{"text", "text", long + texts + ")"},
	{"mediumtext", "text", long + texts + ")"},
	{"longtext", "text", long + texts + ")"},
	{"varchar(60) CHARACTER SET utf8mb3", "text", narrow("utf8mb3", "数学 é", "末")},
	{"varchar(60) CHARACTER SET gbk", "text", "IF({1} % 40 = 0, _gbk X'aaa1', " + narrow("gbk", "镕喆", "（丙）") + ")"},
	{"char(30) CHARACTER SET gbk", "text", narrow("gbk", "镕", "喆 ")},
	{"text CHARACTER SET gbk", "text", narrow("gbk", "一二三", "囧")},
	{"varchar(60) CHARACTER SET gb2312", "text", narrow("gb2312", "王小明", "姆")},
	{"char(30) CHARACTER SET gb2312", "text", narrow("gb2312", "王", "明 ")},
	{"text CHARACTER SET utf8mb3", "text", narrow("utf8mb3", "数学", "末")},
	{"tinytext CHARACTER SET gbk", "text", narrow("gbk", "镕", "喆")},
	{"varchar(60) CHARACTER SET big5", "text", narrow("big5", "許功蓋", "臺灣")},
	{"varchar(60) CHARACTER SET latin1", "text", "IF({1} % 40 = 0, _latin1 X'818d8f909d', " + narrow("latin1", "é€", "ß ÿ") + ")"},
	{"text CHARACTER SET latin1", "text", narrow("latin1", "naïve", "Ærø")},
	{"varchar(60) CHARACTER SET ascii", "text", narrow("ascii", "abc", "x y ")},
	{"varchar(60) CHARACTER SET utf16", "text", narrow("utf16", "杭𠮷", "é")},
	{"char(30) CHARACTER SET utf16le", "text", narrow("utf16le", "杭𠮷", "é")},
	{"char(30) CHARACTER SET utf32", "text", narrow("utf32", "杭𠮷", "é")},
	{"varchar(60) CHARACTER SET ucs2", "text", narrow("ucs2", "杭州", "é")},
	{"enum('男','女','未知')", "text", "{1} % 4"}, // 0 is what isn't among the labels
	{"enum('初','it''s','a,b') CHARACTER SET gbk", "text", "1 + {1} % 3"},
	{"enum('中','é') CHARACTER SET utf16", "text", "1 + {1} % 2"},
	{"set('语','数','外')", "text", "{1} % 8"},
	{"set('语','数') CHARACTER SET gb2312", "text", "{1} % 4"},
	{"json", "text", "CONCAT('{\"a\": ', {1}, ', \"b\": [null, true, \"é\\\\n', {2}, '\"], \"c\": 1.0}')"},

	{"date", "date", "CASE {1} % 40 WHEN 0 THEN '0000-00-00' WHEN 1 THEN '2010-02-00' WHEN 2 THEN '2012-00-00' WHEN 3 THEN '9999-12-31' ELSE '1900-01-01' + INTERVAL {2} % 80000 DAY END"},
	{"time", "time", "SEC_TO_TIME(CAST({1} % 6000000 AS SIGNED) - 3000000)"},
	{"time(1)", "time", "SEC_TO_TIME((CAST({1} % 60000000 AS SIGNED) - 30000000) / 10)"},
	{"time(3)", "time", "SEC_TO_TIME((CAST({1} AS SIGNED) - 2147483648) / 1000)"},
	{"time(6)", "time", "SEC_TO_TIME((CAST({1} AS SIGNED) - 2147483648) * 0.000001)"},
	{"datetime", "datetime", "CASE {1} % 40 WHEN 0 THEN '0000-00-00' WHEN 1 THEN '2010-00-01 10:00:00' WHEN 2 THEN '9999-12-31 23:59:59' ELSE '1900-01-01' + INTERVAL {2} SECOND END"},
	{"datetime(1)", "datetime", "'1000-01-01' + INTERVAL {1} * 100000 MICROSECOND + INTERVAL {2} % 9000 MONTH"},
	{"datetime(3)", "datetime", "IF({1} % 40 = 0, '0000-00-00', '2026-01-01' + INTERVAL {2} * 1000 MICROSECOND)"},
	{"datetime(6)", "datetime", "'1969-12-31 23:30:00' + INTERVAL {1} MICROSECOND"},
	{"timestamp NULL", "datetime", "CASE {1} % 40 WHEN 0 THEN '0000-00-00' WHEN 1 THEN '2038-01-19 03:14:07' ELSE '1970-01-01 00:00:01' + INTERVAL {2} % 2147483646 SECOND END"},
	{"timestamp(2) NULL", "datetime", "'1980-01-01' + INTERVAL {1} * 10000 MICROSECOND"},
	{"timestamp(6) NULL", "datetime", "'2026-09-01' + INTERVAL {1} MICROSECOND"},

	{"binary(4)", "bytes", "UNHEX(LEFT({h}, 2 * ({1} % 5)))"},
	{"binary(16)", "bytes", "UNHEX({h})"},
	{"varbinary(60)", "bytes", "UNHEX(LEFT({h}, 2 * ({1} % 17)))"},
	{"tinyblob", "bytes", "CONCAT(X'00ff', UNHEX({h}))"},
	{"blob", "bytes", "IF({1} % 1000 = 0, REPEAT(UNHEX({h}), 3000), UNHEX({h}))"},
	{"longblob", "bytes", "IF({1} % 9 = 0, '', UNHEX({h}))"},
	{"point", "bytes", "PointFromText(CONCAT('POINT(', {1} % 180, '.', {2}, ' -', {3} % 90, ')'), 4326)"},
	{"geometry", "bytes", "GeomFromText(CONCAT('LINESTRING(0 0,', {1} % 1000, ' ', {2} % 1000, ')'))"},
	{"int AS (n % 1000 + 41) STORED", "number", ""},
	{"varchar(30) AS (CONCAT('级', n)) VIRTUAL", "text", ""},
	{"int INVISIBLE", "number", "{1} % 77"},
	{"uuid", "uuid", uuid("{h}", "{1}")},
	{"inet6", "inet6", "INET6_NTOA(UNHEX({h}))"},
	{"inet4", "inet4", "INET_NTOA({1})"},
	{"varchar(200) COMPRESSED", "text", "REPEAT('学', {1} % 60)"},
	{"text COMPRESSED CHARACTER SET gbk", "text", "IF({1} % 20 = 0, REPEAT('镕', 500), {2})"},
	{"varbinary(300) COMPRESSED", "bytes", "UNHEX(LEFT({h}, 2 * ({1} % 17)))"},
	{"blob COMPRESSED", "bytes", "REPEAT(UNHEX({h}), {1} % 20)"},
}

const (
	sign = "IF({1} % 2 = 0, '', '-')"
	// texts are empty, with blanks at the end, quotes, control characters, characters of
	// four bytes, and rarely with the character U+0000.
	texts = `IF({1} % 60 = 0, 'x\0y', CONCAT(ELT(1 + {1} % 8, '', '赵镕', 'é  ', 'a\'b\\c"', '𠮷野', 'l1\nl2\t\r', 'Ｗ', 'ß'), ELT(1 + {2} % 3, '', {2}, CONCAT({3}, '  '))))`
	// long begins an expression that is rarely a long text.
	long = "IF({1} % 2000 = 0, REPEAT('语', 20000), "
)

// narrow gives texts of a character set that has few characters.
func narrow(charset, some, others string) string {
	return "CONVERT(CONCAT(ELT(1 + {1} % 3, '', '" + some + "', '" + others + "'), ELT(1 + {2} % 2, '', {2})) USING " + charset + ")"
}

// uuid gives UUIDs of several versions, which MariaDB stores in different orders of bytes.
func uuid(hex, n string) string {
	return strings.NewReplacer("{h}", hex, "{n}", n).Replace("CONCAT_WS('-', LEFT({h}, 8), SUBSTR({h}, 9, 4), CONCAT(ELT(1 + {n} % 4, '1', '4', '7', '8'), SUBSTR({h}, 14, 3)), CONCAT('a', SUBSTR({h}, 18, 3)), RIGHT({h}, 12))")
}

var mariadbKeys = []key{
	{columns: []kind{{"bigint", "number", "CAST({n} AS SIGNED) * 7 - 1000000"}}},
	{columns: []kind{{"int unsigned", "number", "4294967295 - {n}"}}},
	{columns: []kind{{"bigint unsigned", "number", "18446744073709551615 - {n}"}}},
	{columns: []kind{{"int", "number", "{n} DIV 100 - 50"}, {"smallint", "number", "{n} % 100"}}},
	{columns: []kind{{"varchar(40)", "text", "CONCAT(ELT(1 + {s} % 4, 'e', 'É', '赵', '𠮷'), {n})"}}},
	{columns: []kind{{"char(30) COLLATE utf8mb4_bin", "text", "CONCAT({n}, ELT(1 + {s} % 3, 'a', 'A', '镕'))"}}},
	{columns: []kind{{"varchar(40) CHARACTER SET gbk", "text", "CONCAT(ELT(1 + {s} % 4, '镕', '喆', 'b', 'B'), {n})"}}},
	{columns: []kind{{"varchar(40) CHARACTER SET latin1", "text", "CONCAT(ELT(1 + {s} % 4, 'é', 'E', 'ÿ', 'ß'), {n})"}}},
	{columns: []kind{{"varchar(40) CHARACTER SET latin1", "text", "CONCAT({n}, 'x', ELT(1 + {s} % 2, '', '  '))"}}},
	{columns: []kind{{"binary(16)", "bytes", "UNHEX(MD5({n}))"}}},
	{columns: []kind{{"varbinary(30)", "bytes", "CONCAT(X'00', {n}, X'ff00')"}}},
	{columns: []kind{{"char(12) CHARACTER SET gbk", "text", "ELT(1 + {n} % 4, '西湖', '滨江', '萧山', '')"}, {"date", "date", "'2000-01-01' + INTERVAL {n} DIV 200 DAY"}, {"tinyint unsigned", "number", "{n} % 200"}}},
	{columns: []kind{{"decimal(20,3)", "number", "({n} - 1000) * 0.125"}}},
	{columns: []kind{{"datetime(6)", "datetime", "'1969-12-31 23:59:59.9' + INTERVAL {n} * 37 MICROSECOND"}, {"int", "number", "{n} % 5 - 2"}}},
	{columns: []kind{{"timestamp(3) NOT NULL DEFAULT '2000-01-01'", "datetime", "'2000-01-01' + INTERVAL {n} * 1000 MICROSECOND"}}},
	{columns: []kind{{"time(2)", "time", "SEC_TO_TIME(CAST({n} % 1000 AS SIGNED) - 500)"}, {"bigint", "number", "{n}"}}},
	{columns: []kind{{"enum('女','男','b','a')", "text", "1 + {n} % 4"}, {"int unsigned", "number", "{n}"}}},
	{columns: []kind{{"set('z','y','x')", "text", "{n} % 8"}, {"int", "number", "{n}"}}},
	{columns: []kind{{"uuid", "uuid", uuid("MD5({n})", "{n}")}}},
	{columns: []kind{{"inet6", "inet6", "INET6_NTOA(UNHEX(MD5({n})))"}}},
	{columns: []kind{{"year", "padded", "1901 + {n} % 200"}, {"bit(10)", "bit", "{n} % 1000"}, {"bigint", "number", "{n} DIV 1000"}}},
	{columns: []kind{{"double", "double", "{n} * 0.1"}}},
	{columns: []kind{{"float", "float", "{n} % 1000 * 0.1"}, {"int", "number", "{n}"}}},
	{columns: []kind{{"varchar(60)", "text", "CONCAT({n}, REPEAT('长', 10), ELT(1 + {s} % 2, 'a', 'b'))"}}, index: "{1}(16)"},
	{columns: []kind{{"char(10)", "text", "CONCAT('2133', LPAD({n} % 50, 6, '0'))"}, {"varchar(9) CHARACTER SET gbk", "text", "ELT(1 + {n} % 3, '语文', '数学', '英语')"}, {"char(20) CHARACTER SET latin1", "text", "CONCAT('x', {n})"}}},
}
