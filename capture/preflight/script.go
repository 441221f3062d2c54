package preflight

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
)

// mark begins the lines that frame what a script prints. A question is named by a part of
// its statement's digest, so that an answer to another question is never taken for its own.
const mark = "#tributary "

func questionID(sql string) string {
	sum := sha256.Sum256([]byte(sql))
	return hex.EncodeToString(sum[:])[:idLength]
}

// idLength is how many digits of the digest name a question.
const idLength = 16

// Script gives the questions of preflight about one source as a script for the client of
// its server (mysql, mariadb or psql). It reads only. Judge takes what it prints.
func Script(o Options) (string, error) {
	o.fill()
	switch {
	case o.MySQL != nil:
		return mysqlScript(&o), nil
	case o.Postgres != nil:
		return postgresScript(&o)
	}
	return "", errOptions
}

// begins is the first line that a script prints.
func begins(engine event.Engine, source string) string {
	return fmt.Sprintf("%s1 %s %s", mark, engine, source)
}

// grantsOfRoles stands for SHOW GRANTS FOR CURRENT_USER() USING the active roles, whose
// names a script can't know.
const grantsOfRoles = "SHOW GRANTS FOR CURRENT_USER() USING CURRENT_ROLE()"

// askMariaRole gives the role that is active at MariaDB.
const askMariaRole = "SELECT COALESCE(CURRENT_ROLE(), 'NONE')"

// askPrivileges gives what the user may do at MariaDB as the lines of SHOW GRANTS, which
// itself shows the password's hash.
var askPrivileges = func() string {
	const u = "CURRENT_USER()"
	part := func(table, scope, by string) string {
		return "SELECT CONCAT('GRANT ', GROUP_CONCAT(PRIVILEGE_TYPE SEPARATOR ', '), ' ON ', " + scope + ", ' TO ', GRANTEE, IF(MAX(IS_GRANTABLE) = 'YES', ' WITH GRANT OPTION', '')) FROM information_schema." + table +
			" WHERE GRANTEE = CONCAT('''', LEFT(" + u + ", CHAR_LENGTH(" + u + ") - LOCATE('@', REVERSE(" + u + "))), '''@''', SUBSTRING_INDEX(" + u + ", '@', -1), '''') GROUP BY GRANTEE" + by
	}
	name := func(column string) string { return "'`', REPLACE(" + column + ", '`', '``'), '`'" }
	return strings.Join([]string{part("user_privileges", "'*.*'", ""), part("schema_privileges", name("table_schema")+", '.*'", ", TABLE_SCHEMA"),
		part("table_privileges", name("table_schema")+", '.', "+name("table_name"), ", TABLE_SCHEMA, TABLE_NAME")}, " UNION ALL ")
}()

// askForeignKeys gives MySQL's foreign keys as the lines that SHOW CREATE TABLE has of them.
const askForeignKeys = "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, CONCAT('CONSTRAINT `', k.CONSTRAINT_NAME, '` FOREIGN KEY (', GROUP_CONCAT(CONCAT('`', k.COLUMN_NAME, '`') ORDER BY k.ORDINAL_POSITION SEPARATOR ', '), ') REFERENCES ', " +
	"IF(k.REFERENCED_TABLE_SCHEMA = k.TABLE_SCHEMA, '', CONCAT('`', k.REFERENCED_TABLE_SCHEMA, '`.')), '`', k.REFERENCED_TABLE_NAME, '` (', GROUP_CONCAT(CONCAT('`', k.REFERENCED_COLUMN_NAME, '`') ORDER BY k.ORDINAL_POSITION SEPARATOR ', '), ')', " +
	"IF(r.DELETE_RULE = 'NO ACTION', '', CONCAT(' ON DELETE ', r.DELETE_RULE)), IF(r.UPDATE_RULE = 'NO ACTION', '', CONCAT(' ON UPDATE ', r.UPDATE_RULE))) " +
	"FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME " +
	"WHERE k.REFERENCED_TABLE_NAME IS NOT NULL GROUP BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, r.DELETE_RULE, r.UPDATE_RULE ORDER BY 1, 2, k.CONSTRAINT_NAME"

func mysqlScript(o *Options) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	frame := func(sql, run string) {
		// A statement that reads a table takes earlier errors away; this one prints nothing.
		line("SELECT 1 FROM information_schema.ENGINES LIMIT 0;\nSELECT '%sq %s' AS '#';\n%s;\nSELECT CONCAT('%send ', @@error_count) AS '#';", mark, questionID(sql), run, mark)
	}
	engine, source := o.MySQL.Source.Engine, o.MySQL.Source.ID
	maria := engine == event.MariaDB
	line("SET NAMES utf8mb4;\nSET SESSION time_zone = '+00:00';\nSET SESSION TRANSACTION READ ONLY;\nSET SESSION group_concat_max_len = 65535;")
	line("SELECT '%s' AS '#';", begins(engine, source))
	c := &mysqlServer{mariadb: maria}
	questions := []string{askVersion, "SHOW GLOBAL VARIABLES", "SHOW GLOBAL STATUS"}
	for _, names := range [][2]string{{"SHOW REPLICAS", "SHOW SLAVE HOSTS"}, {"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}} {
		questions = append(questions, c.named(names[0], names[1])...)
	}
	if maria {
		questions = append(questions, askPrivileges, askMariaRole)
	} else {
		questions = append(questions, "SHOW GRANTS", "SELECT CURRENT_ROLE()", askForeignKeys)
	}
	questions = append(questions, askTables, askColumns, askKeys, askEngines)
	questions = append(questions, c.masterStatus()...)
	questions = append(questions, c.xaRecover(), "XA RECOVER", mysql.AskForeignKeys)
	for _, q := range questions {
		frame(q, q)
	}
	if !maria {
		line("SET @tributary = IF(CURRENT_ROLE() = 'NONE', 'SHOW GRANTS', CONCAT('SHOW GRANTS FOR CURRENT_USER() USING ', CURRENT_ROLE()));\nPREPARE tributary FROM @tributary;")
		frame(grantsOfRoles, "EXECUTE tributary")
	} else {
		line("%s", mariaTables(o.MySQL.Tables))
	}
	line("SELECT '%sdone' AS '#';", mark)
	return b.String()
}

// mariaTables prints the statement of each table that the patterns may mean. MariaDB runs
// a block that stands alone; MySQL has nothing like it.
func mariaTables(patterns []string) string {
	var databases []string
	for _, p := range patterns {
		database, _, _ := strings.Cut(p, ".")
		like := "%"
		if !strings.ContainsAny(database, `[\`) {
			like = strings.NewReplacer(`%`, `|%`, `_`, `|_`, `|`, `||`, `*`, `%`, `?`, `_`).Replace(database)
		}
		databases = append(databases, "TABLE_SCHEMA LIKE "+literal(like)+" ESCAPE '|'")
	}
	return fmt.Sprintf("DELIMITER //\n"+`BEGIN NOT ATOMIC
  DECLARE done INT DEFAULT 0;
  DECLARE s TEXT CHARACTER SET utf8mb4;
  DECLARE c CURSOR FOR SELECT CONCAT('SHOW CREATE TABLE %[1]s', REPLACE(TABLE_SCHEMA, '%[1]s', '%[1]s%[1]s'), '%[1]s.%[1]s', REPLACE(TABLE_NAME, '%[1]s', '%[1]s%[1]s'), '%[1]s')
    FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND %[4]s AND (%[5]s);
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
  OPEN c;
  FETCH c INTO s;
  WHILE done = 0 DO
    SELECT CONCAT('%[2]sq ', LEFT(SHA2(s, 256), %[3]d)) AS '#';
    EXECUTE IMMEDIATE s;
    SELECT '%[2]send 0' AS '#';
    FETCH c INTO s;
  END WHILE;
  CLOSE c;
END//
DELIMITER ;`, "`", mark, idLength, userTables, strings.Join(databases, " OR "))
}

func postgresScript(o *Options) (string, error) {
	_, name, err := postgres.Names(*o.Postgres)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	frame := func(sql string) {
		line("\\echo '%sq %s'\nCOPY (%s) TO STDOUT;\n\\echo '%send' :ERROR", mark, questionID(sql), sql, mark)
	}
	line("\\set QUIET on\n\\set ON_ERROR_STOP off\n\\pset pager off\nSET client_encoding = 'UTF8';\nSET default_transaction_read_only = on;")
	for _, s := range postgres.SessionSettings() {
		line("%s;", s)
	}
	line("SELECT current_setting('server_version_num')::int >= 140000 AS v14, current_setting('server_version_num')::int >= 150000 AS v15 \\gset")
	line("\\echo '%s'", begins(event.Postgres, o.Postgres.Source.ID))
	for _, q := range []string{askRole, askSettings, askSlots, askSenders, listTables, listUniques, askPublication(name), askCreate, askMembers(name), askPrepared, askLong(o)} {
		frame(q)
	}
	line("\\if :v14")
	frame(askWAL)
	line("\\else")
	frame(askCheckpoint)
	line("\\endif\n\\if :v15")
	frame(askFilters(name))
	line("\\endif\n\\echo '%sdone'", mark)
	return b.String(), nil
}
